"""Fits both phases of click prediction; the second learns from what the first says of entities that it has not seen."""

from collections import Counter

import numpy as np

from m5model.partners.click_columns import ClickColumns, ad_texts
from m5model.partners.click_rates import folds_of
from m5model.partners.data import PartnerData
from m5model.partners.evaluation.scored import pair_with_truth
from m5model.partners.inputs import clicks
from m5model.partners.inputs._vectors import Directions
from m5model.partners.network_training import Rows, train_network
from m5model.partners.networks import NetworkSettings
from m5model.partners.strategy import Given
from m5model.partners.two_phases import TextInputs, TwoPhases, beside
from schemas.errors import ConfigurationError

COMMON_ROWS = 20  # that a value is seen in before it has an input of its own
MOST_VALUES = 50  # of a column


def fit_phases(given: Given, first: NetworkSettings, second: NetworkSettings, *, folds: int, components: int) -> TwoPhases:
    """Raises ConfigurationError where there are no vectors."""
    data, learn, validate = given.data, given.learn(), given.data.rows_of("validate")
    texts = _text_inputs(given, learn, components)
    learned = _rows(data, learn, texts.matrix(data, given.vectors, learn))
    held = _rows(data, validate, texts.matrix(data, given.vectors, validate))
    head = train_network(learned, held, first, given.seed, "phase 1")
    said = _out_of_fold(data.select(learn).entity, learned, held, first, given.seed, folds)
    rates = clicks.fit_without_texts(given, learn)
    network = train_network(
        _rows(data, learn, beside(said, rates.learning_matrix(data, None, learn))),
        _rows(data, validate, beside(head.logits(held.matrix), rates.matrix(data, None, validate))),
        second,
        given.seed,
        "phase 2",
    )
    return TwoPhases(texts=texts, head=head, rates=rates, network=network)


def _text_inputs(given: Given, rows: np.ndarray, components: int) -> TextInputs:
    if given.vectors is None:
        raise ConfigurationError("two-phase reads vectors, and there is no bundle", next_step="give one, or use mlp")
    chosen, columns = given.data.select(rows), ClickColumns.of(given.data, rows)
    texts = sorted({*ad_texts(chosen), *(columns.page_texts(chosen) or ())})
    directions = Directions.fit(given.vectors.of(texts), given.vectors.space_id, components)
    counts = {name: Counter(columns.values_of(chosen, name)).most_common(MOST_VALUES) for name in columns.values}
    values = {name: tuple(value for value, rows in found if rows >= COMMON_ROWS) for name, found in counts.items()}
    return TextInputs(columns=columns, directions=directions, values=values)


def _rows(data: PartnerData, rows: np.ndarray, matrix: np.ndarray) -> Rows:
    truth = pair_with_truth(data, rows, np.zeros(len(rows)))
    return Rows(matrix=matrix, rates=truth.targets, impressions=truth.weights)


def _out_of_fold(entity: np.ndarray, learned: Rows, held: Rows, settings: NetworkSettings, seed: int, folds: int) -> np.ndarray:
    """What a head says (n,) that has learned from the other folds."""
    fold, said = folds_of(entity, folds), np.zeros(len(entity))
    for number in range(folds):
        inside, outside = np.flatnonzero(fold == number), np.flatnonzero(fold != number)
        if len(inside) and len(outside):
            part = Rows(matrix=learned.matrix[outside], rates=learned.rates[outside], impressions=learned.impressions[outside])
            said[inside] = train_network(part, held, settings, seed, f"fold {number}").logits(learned.matrix[inside])
    return said
