"""Metrics of a yes or no: pairs that match, impressions that are clicked.

Click rates are weighted by impressions; pairs count once each.
"""

import numpy as np
from sklearn.metrics import average_precision_score, log_loss, precision_recall_curve, roc_auc_score

from m5model.partners.evaluation.metric import Metric
from m5model.partners.evaluation.scored import Scored

PRECISIONS = (99, 95, 90, 80)
BINS = 15  # of the calibration error


def _spread(scored: Scored) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Outcome (bool), score and weight of every row: a click rate is as many yeses and noes as its impressions."""
    if scored.targets.dtype == bool:
        return scored.targets, scored.scores, scored.weights
    yes, no = scored.targets * scored.weights, (1 - scored.targets) * scored.weights
    outcome = np.concatenate([np.ones(len(yes), bool), np.zeros(len(no), bool)])
    weight = np.concatenate([yes, no])
    kept = weight > 0
    return outcome[kept], np.concatenate([scored.scores, scored.scores])[kept], weight[kept]


def _has_both(outcome: np.ndarray) -> bool:
    return bool(outcome.any() and not outcome.all())


def pr_auc(scored: Scored) -> float:
    """Average precision: the area under precision over recall, as a sum of steps."""
    outcome, scores, weight = _spread(scored)
    return float(average_precision_score(outcome, scores, sample_weight=weight)) if outcome.any() else float("nan")


def roc_auc(scored: Scored) -> float:
    """The share of (yes, no) pairs in which the yes scores more, ties counted half."""
    outcome, scores, weight = _spread(scored)
    return float(roc_auc_score(outcome, scores, sample_weight=weight)) if _has_both(outcome) else float("nan")


def f1(scored: Scored) -> float:
    """F1 at the threshold that other rows chose."""
    if scored.threshold is None or not scored.targets.any():
        return float("nan")
    called = scored.scores >= scored.threshold
    return float(2 * (called & scored.targets).sum() / (called.sum() + scored.targets.sum()))


def recall_at_precision(percent: int) -> Metric:
    """The largest share of yeses that is found while that percentage of what is called a yes is one."""

    def measure(scored: Scored) -> float:
        outcome, scores, weight = _spread(scored)
        if not outcome.any():
            return float("nan")
        precision, recall, _ = precision_recall_curve(outcome, scores, sample_weight=weight)
        return float(recall[precision >= percent / 100].max(initial=0.0))

    return Metric(
        name=f"recall_at_p{percent}",
        measure=measure,
        meaning=f"recall where precision is {percent}% or more",
        kinds=("pairs",),
    )


def calibration_error(scored: Scored) -> float:
    """Mean distance of probability and outcome over bins of equally many rows (Naeini et al. 2015)."""
    if scored.scores.min(initial=0) < 0 or scored.scores.max(initial=0) > 1 or not len(scored):
        return float("nan")
    order = np.argsort(scored.scores, kind="stable")
    bins = [part for part in np.array_split(order, BINS) if len(part)]
    total = scored.weights.sum()
    gaps = (
        abs(float((scored.weights[part] * (scored.scores[part] - scored.targets[part].astype(np.float64))).sum()))
        for part in bins
    )
    return float(sum(gaps) / total)


def probability_loss(scored: Scored) -> float:
    """Mean negative log likelihood of the outcomes; NaN where scores are no probabilities."""
    outcome, scores, weight = _spread(scored)
    if not _has_both(outcome) or scores.min() < 0 or scores.max() > 1:
        return float("nan")
    return float(log_loss(outcome, np.clip(scores, 1e-6, 1 - 1e-6), sample_weight=weight))


def best_threshold(scored: Scored) -> float:
    """The score from which on a row is called a yes so that F1 is highest."""
    precision, recall, thresholds = precision_recall_curve(scored.targets, scored.scores)
    harmonic = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
    return float(thresholds[min(int(harmonic.argmax()), len(thresholds) - 1)])


BOTH = ("pairs", "clicks")
METRICS = (
    Metric(name="pr_auc", measure=pr_auc, meaning="average precision", kinds=BOTH),
    Metric(name="roc_auc", measure=roc_auc, meaning="area under the ROC curve", kinds=BOTH),
    Metric(name="f1", measure=f1, meaning="F1 at the threshold that the split validate chose", kinds=("pairs",)),
    *(recall_at_precision(percent) for percent in PRECISIONS),
    Metric(
        name="calibration_error",
        measure=calibration_error,
        meaning="expected calibration error of the probability",
        higher_is_better=False,
        kinds=BOTH,
    ),
    Metric(
        name="log_loss",
        measure=probability_loss,
        meaning="negative log likelihood of the outcomes",
        higher_is_better=False,
        kinds=BOTH,
    ),
)
