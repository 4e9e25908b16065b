"""Fits both phases of click prediction; the second learns from what the first says of entities that it has not seen."""

from collections import Counter
from dataclasses import dataclass, replace

import numpy as np

from m5model.partners.click_columns import ClickColumns, ad_texts
from m5model.partners.click_rates import folds_of
from m5model.partners.inputs import clicks
from m5model.partners.inputs._vectors import Directions
from m5model.partners.network_training import Rows, train_network
from m5model.partners.networks import Network, NetworkSettings
from m5model.partners.strategy import Given
from m5model.partners.two_phases import TextInputs, TwoPhases, beside
from m5model.partners.vectors import Vectors
from schemas.errors import ConfigurationError

COMMON_ROWS = 20  # that a value is seen in before it has an input of its own
MOST_VALUES = 50  # of a column


@dataclass(frozen=True, kw_only=True)
class PhasePlan:
    """Says how both phases are trained."""

    first: NetworkSettings
    second: NetworkSettings
    folds: int
    components: int  # main directions of the space that the head reads
    steps: int = 0  # of the encoder's fine-tuning; 0 leaves it as it is
    tokens: int = 64  # of a text, while it is fine-tuned
    learning_rate: float = 5e-5  # of the encoder


def fit_phases(given: Given, plan: PhasePlan) -> TwoPhases:
    """Raises ConfigurationError where there are no vectors."""
    return _fit_fine_tuned(given, plan) if plan.steps else _fit_frozen(given, plan)


def _fit_frozen(given: Given, plan: PhasePlan) -> TwoPhases:
    """The second phase learns from all rows: what the first says of each, it has learned from the others."""
    data, learn = given.data, given.learn()
    texts = _text_inputs(given, learn, plan.components)
    learned = Rows.of(data, learn, texts.matrix(data, given.vectors, learn))
    held = _held(given, texts, given.vectors)
    head = train_network(learned, held, plan.first, given.seed, "phase 1")
    said = _out_of_fold(data.select(learn).entity, learned, held, plan.first, given.seed, plan.folds)
    rates, network = _second_phase(given, plan, learn, said, head.logits(held.matrix))
    return TwoPhases(texts=texts, head=head, rates=rates, network=network)


def _fit_fine_tuned(given: Given, plan: PhasePlan) -> TwoPhases:
    """Encoder and head learn from all folds but one, and the second phase from that one, which they have not seen."""
    from m5model.partners.click_encoder import fine_tune_clicks

    data, learn = given.data, given.learn()
    fold = folds_of(data.select(learn).entity, plan.folds)
    early, late = learn[fold > 0], learn[fold == 0]
    tower = fine_tune_clicks(given, early, steps=plan.steps, tokens=plan.tokens, learning_rate=plan.learning_rate)
    vectors = tower.vectors()
    texts = _text_inputs(replace(given, vectors=vectors), early, plan.components)
    held = _held(given, texts, vectors)
    head = train_network(Rows.of(data, early, texts.matrix(data, vectors, early)), held, plan.first, given.seed, "phase 1")
    said = head.logits(texts.matrix(data, vectors, late))
    rates, network = _second_phase(given, plan, late, said, head.logits(held.matrix))
    return TwoPhases(texts=texts, head=head, rates=rates, network=network, tower=tower)


def _held(given: Given, texts: TextInputs, vectors: Vectors | None) -> Rows:
    rows = given.data.rows_of("validate")
    return Rows.of(given.data, rows, texts.matrix(given.data, vectors, rows))


def _second_phase(
    given: Given, plan: PhasePlan, rows: np.ndarray, said: np.ndarray, said_of_validate: np.ndarray
) -> tuple[clicks.ClickInputs, Network]:
    """Rates are those of all rows that are learned from; the network learns from ``rows`` of them."""
    data, learn, validate = given.data, given.learn(), given.data.rows_of("validate")
    rates = clicks.fit_without_texts(given, learn)
    chosen = np.isin(learn, rows)
    network = train_network(
        Rows.of(data, rows, beside(said, rates.learning_matrix(data, None, learn)[chosen])),
        Rows.of(data, validate, beside(said_of_validate, rates.matrix(data, None, validate))),
        plan.second,
        given.seed,
        "phase 2",
    )
    return rates, network


def _text_inputs(given: Given, rows: np.ndarray, components: int) -> TextInputs:
    if given.vectors is None:
        raise ConfigurationError("two-phase reads vectors, and there is no bundle", next_step="give one, or use mlp")
    chosen, columns = given.data.select(rows), ClickColumns.of(given.data, rows)
    texts = sorted({*ad_texts(chosen), *(columns.page_texts(chosen) or ())})
    directions = Directions.fit(given.vectors.of(texts), given.vectors.space_id, components)
    counts = {name: Counter(columns.values_of(chosen, name)).most_common(MOST_VALUES) for name in columns.values}
    values = {name: tuple(value for value, rows in found if rows >= COMMON_ROWS) for name, found in counts.items()}
    return TextInputs(columns=columns, directions=directions, values=values)


def _out_of_fold(entity: np.ndarray, learned: Rows, held: Rows, settings: NetworkSettings, seed: int, folds: int) -> np.ndarray:
    """Returns what a head says (n,) that has learned from the other folds."""
    fold, said = folds_of(entity, folds), np.zeros(len(entity))
    for number in range(folds):
        inside, outside = np.flatnonzero(fold == number), np.flatnonzero(fold != number)
        if len(inside) and len(outside):
            part = Rows(matrix=learned.matrix[outside], rates=learned.rates[outside], impressions=learned.impressions[outside])
            said[inside] = train_network(part, held, settings, seed, f"fold {number}").logits(learned.matrix[inside])
    return said
