"""Of classes: is an unknown one refused, how many listings does a class need, and which names are spellings of one?

Centroids of the three forms stand beside the model in every report, since they cost a second.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from m5model.gates.evidence import state
from m5model.partners.classes.centroids import Centroids
from m5model.partners.classes.space import ClassSpace
from m5model.partners.classes.spellings import find_spellings
from m5model.partners.data import PartnerData
from m5model.partners.evaluation.curves import Curve, Picture, draw_answers
from m5model.partners.evaluation.metrics.answers import answer_pr_auc, recall_at
from m5model.partners.evaluation.refusal import refusal_threshold
from m5model.partners.evaluation.scored import Scored, pair_with_truth, predicted
from m5model.partners.finding import Findings
from m5model.partners.strategies import centroids
from m5model.partners.strategy import Given
from m5model.partners.vectors import Vectors
from schemas.figure import Figure

if TYPE_CHECKING:
    from m5model.partners.experiment import Judged

ERROR_SHARE = 0.05  # of listings whose class is known, that may be refused
SHOTS = (1, 2, 5, 10)
FEW_FROM = 10  # learned listings of a class that the few-shot curve is about
PRECISIONS = (99, 95, 90, 80)


def find(data: PartnerData, vectors: Vectors | None, judged: Judged) -> Findings:
    """Finds what vectors say, where there are some, and refusals, which are the model's whatever it reads."""
    threshold, refusals = _refusals(judged)
    table = pa.table({"error_share": [ERROR_SHARE], "threshold": [threshold]})
    pictures = (draw_answers({judged.name: judged.test}),)
    if vectors is None:
        return Findings(figures=refusals, pictures=pictures, tables={"refusal": table})
    curve, shots = _few_shots(data, vectors)
    spellings = _spellings(data, vectors)
    figures = (*refusals, *_forms(data, vectors), *shots, state("spellings_found", len(spellings), "names of learned classes"))
    return Findings(
        figures=figures,
        pictures=(*pictures, *curve),
        tables={"refusal": table, "spellings": spellings} if len(spellings) else {"refusal": table},
    )


def _refusals(judged: Judged) -> tuple[float, tuple[Figure, ...]]:
    """The threshold that validate gives, and what test says about its promise."""
    known = _confidence(judged.validate)[_known(judged.validate)]
    threshold = refusal_threshold(known, ERROR_SHARE)
    is_known, refused = _known(judged.test), _confidence(judged.test) < threshold
    measured_on = f"at most {ERROR_SHARE:.0%} of known ones promised, from {len(known):,} rows of validate"
    figures = [state("known_refused", float(refused[is_known].mean()) if is_known.any() else None, measured_on)]
    if not is_known.all():
        unknown = f"{int((~is_known).sum()):,} rows of test whose class was never learned"
        figures.append(state("unknown_refused", float(refused[~is_known].mean()), unknown))
    return threshold, tuple(figures)


def _known(scored: Scored) -> np.ndarray:
    return np.ones(len(scored), bool) if scored.stated is None else scored.stated


def _confidence(scored: Scored) -> np.ndarray:
    return predicted(scored)[1]


def _forms(data: PartnerData, vectors: Vectors) -> tuple[Figure, ...]:
    """Average precision, and recall at each precision, of the three forms of centroids in the even space and as they are."""
    given, rows = Given(data=data, vectors=vectors), data.rows_of("test")
    forms = centroids.with_forms(centroids.Settings())
    forms["plain_untouched"] = centroids.Settings(space="plain")
    figures = []
    for name, settings in forms.items():
        found = centroids.fit(given, settings).scores(data, vectors, rows)
        scored = pair_with_truth(data, rows, found.values, predictions=found.predictions)
        measured_on = f"{len(rows):,} rows of test"
        figures.append(state(f"centroids_{name}_pr_auc", answer_pr_auc(scored), measured_on))
        figures += [
            state(f"centroids_{name}_recall_at_p{percent}", recall_at(percent)(scored), measured_on) for percent in PRECISIONS
        ]
    return tuple(figures)


def _few_shots(data: PartnerData, vectors: Vectors) -> tuple[tuple[Picture, ...], tuple[Figure, ...]]:
    """Counts how often the nearest centroid is right where it is made of so many listings, of classes with FEW_FROM or more."""
    learned, tested = (data.select(data.rows_of(split)) for split in ("learn", "test"))
    names, label_N = np.unique(learned.column("label").astype(str), return_inverse=True)
    rich = np.flatnonzero(np.bincount(label_N) >= FEW_FROM)
    place = {str(name): number for number, name in enumerate(names)}
    truth = np.asarray([place.get(str(label), -1) for label in tested.column("label")])
    rows = np.flatnonzero(np.isin(truth, rich))
    if len(rich) < 2 or not len(rows):
        return (), ()
    shown = Shown(
        vectors_ND=vectors.of(learned.texts()),
        label_N=np.where(np.isin(label_N, rich), label_N, -1),
        entity_N=learned.entity,
        vectors_BD=vectors.of([tested.texts()[row] for row in rows]),
        truth_B=truth[rows],
    )
    found = [_accuracy(shown, shots) for shots in (*SHOTS, len(label_N))]
    measured_on = f"{len(rows):,} rows of test, {len(rich):,} classes with {FEW_FROM} learned listings or more"
    named = [f"{shots}_listings" for shots in SHOTS] + ["all_listings"]
    figures = tuple(state(f"few_shot_accuracy_{name}", value, measured_on) for name, value in zip(named, found, strict=True))
    line = Curve(name="nearest centroid", x=tuple(shots / FEW_FROM for shots in SHOTS), y=tuple(found[:-1]))
    return (
        Picture(title="Few listings a class", x_axis=f"listings a class, of {FEW_FROM}", y_axis="share right", curves=(line,)),
    ), figures


@dataclass(frozen=True, kw_only=True)
class Shown:
    """Holds what the few-shot curve is measured on."""

    vectors_ND: np.ndarray  # learned listings
    label_N: np.ndarray  # their classes; -1 of those that are not looked at
    entity_N: np.ndarray
    vectors_BD: np.ndarray  # judged listings
    truth_B: np.ndarray


def _accuracy(shown: Shown, shots: int) -> float:
    """Of centroids of so many listings a class; from FEW_FROM on there are enough for the spread inside classes."""
    some = _first_of_each(shown.label_N, shown.entity_N, shots)
    vectors_KD, label_K = shown.vectors_ND[some], shown.label_N[some]
    space = ClassSpace.fit(vectors_KD, label_K, "even" if shots >= FEW_FROM else "centred", "")
    means = Centroids.fit(space.apply(vectors_KD), label_K, int(shown.label_N.max()) + 1, None, trimmed=False)
    cosines = means.similarities(space.apply(shown.vectors_BD), [None] * len(shown.truth_B))
    return float((cosines.argmax(axis=1) == shown.truth_B).mean())


def _first_of_each(label_N: np.ndarray, entity_N: np.ndarray, shots: int) -> np.ndarray:
    """The first ``shots`` rows of each class, in an order that has nothing to do with it: that of entities."""
    order = np.lexsort((entity_N.astype(str), label_N))
    order = order[label_N[order] >= 0]
    ordered = label_N[order]
    rank = np.arange(len(order)) - np.searchsorted(ordered, ordered)
    return order[rank < shots]


def _spellings(data: PartnerData, vectors: Vectors) -> pa.Table:
    """Names of learned classes that may be one, the commonest names first."""
    learned = data.select(data.rows_of("learn"))
    labels = learned.column("label").astype(str)
    names, label_N, counts = np.unique(labels, return_inverse=True, return_counts=True)
    vectors_ND = vectors.of(learned.texts())
    space = ClassSpace.fit(vectors_ND, label_N, "even", vectors.space_id)
    means = Centroids.fit(space.apply(vectors_ND), label_N, len(names), None, trimmed=False)
    order = np.argsort(-counts, kind="stable")
    found = find_spellings(tuple(names[order].tolist()), means.vectors[0][order])
    return pa.Table.from_pylist([asdict(pair) for pair in found])
