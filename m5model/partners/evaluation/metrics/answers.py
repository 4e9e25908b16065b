"""Metrics of answers that are ranked by confidence: a class, or an attribute's value, or none where the model abstains.

Precision is of rows that are answered; recall and coverage are of rows that have an answer. A row without an answer that is
answered nevertheless lowers precision.
"""

from collections.abc import Callable

import numpy as np

from m5model.partners.evaluation.metric import Metric
from m5model.partners.evaluation.scored import Scored, predicted

PRECISIONS = (99, 95, 90, 80)
PROMISED = 85  # percent, of the values that document understanding gives out
KINDS = ("classes", "attributes")


def _curve(scored: Scored) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """Precision, recall and coverage (t,) where the t different confidences are thresholds, the highest first."""
    if scored.right is None or scored.stated is None or not (scored.stated * scored.weights).sum():
        return None
    said, confidence = predicted(scored)
    answered = np.flatnonzero([one is not None for one in said])
    order = answered[np.argsort(-confidence[answered], kind="stable")]
    weights, total = scored.weights[order], float((scored.stated * scored.weights).sum())
    last = np.flatnonzero(np.append(np.diff(confidence[order]) != 0, len(order) > 0))  # equal confidences are answered together
    right, said_all = np.cumsum(weights * scored.right[order])[last], np.cumsum(weights)[last]
    covered = np.cumsum(weights * scored.stated[order])[last]
    return right / said_all, right / total, covered / total


def answer_pr_auc(scored: Scored) -> float:
    """Average precision: precision over recall as a sum of steps. What is never answered rightly adds nothing."""
    curve = _curve(scored)
    if curve is None:
        return float("nan")
    precision, recall, _ = curve
    return float((precision * np.diff(recall, prepend=0.0)).sum())


def accuracy(scored: Scored) -> float:
    """The share of rows with an answer that are answered rightly, whatever the confidence."""
    curve = _curve(scored)
    return float("nan") if curve is None else float(curve[1][-1]) if len(curve[1]) else 0.0


def recall_at(percent: int) -> Callable[[Scored], float]:
    """The largest recall at which that percentage of the answers is right."""

    def measure(scored: Scored) -> float:
        curve = _curve(scored)
        return float("nan") if curve is None else float(curve[1][curve[0] >= percent / 100].max(initial=0.0))

    return measure


def coverage_at(percent: int) -> Callable[[Scored], float]:
    """The largest share of rows with an answer that can be answered while that percentage of the answers is right."""

    def measure(scored: Scored) -> float:
        curve = _curve(scored)
        return float("nan") if curve is None else float(curve[2][curve[0] >= percent / 100].max(initial=0.0))

    return measure


METRICS = (
    Metric(
        name="answer_pr_auc", measure=answer_pr_auc, meaning="average precision of answers ranked by confidence", kinds=KINDS
    ),
    Metric(name="accuracy", measure=accuracy, meaning="share of rows with an answer that are answered rightly", kinds=KINDS),
    *(
        Metric(
            name=f"answer_recall_at_p{percent}",
            measure=recall_at(percent),
            meaning=f"recall where {percent}% of the answers are right",
            kinds=KINDS,
        )
        for percent in PRECISIONS
    ),
    Metric(
        name=f"coverage_at_p{PROMISED}",
        measure=coverage_at(PROMISED),
        meaning=f"share of rows with an answer that are answered where {PROMISED}% of the answers are right",
        kinds=("attributes",),
    ),
)
