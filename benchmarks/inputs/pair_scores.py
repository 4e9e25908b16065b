"""Says what scores of labelled pairs are worth: areas under curves, F1 at a threshold that other pairs chose, by groups."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.metrics import precision_recall_curve

from m5model.gates.intervals import bootstrap
from m5model.gates.metrics import average_precision, roc_auc


@dataclass(frozen=True, kw_only=True)
class Scored:
    """Scores of the pairs of a split, and what is true of them."""

    scores: np.ndarray  # (n,)
    is_match: np.ndarray  # (n,) bool


def best_threshold(validated: Scored) -> float:
    """The score from which on a pair is called a match so that F1 is highest."""
    precision, recall, thresholds = precision_recall_curve(validated.is_match, validated.scores)
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
    return float(thresholds[min(int(f1.argmax()), len(thresholds) - 1)])


def f1_at(threshold: float, tested: Scored) -> float:
    called = tested.scores >= threshold
    return 2 * float((called & tested.is_match).sum()) / max(1.0, float(called.sum() + tested.is_match.sum()))


def figures_of(validated: Scored, tested: Scored, groups: Sequence[str]) -> dict[str, object]:
    """Of all test pairs, and of every group that has 10 matches; of one that has fewer, the share of others called a match."""
    threshold = best_threshold(validated)
    named = np.asarray(groups)
    by_group = {str(group): _group(threshold, _select(tested, named == group)) for group in np.unique(named)}
    return {**_whole(threshold, tested), "groups": by_group}


def _group(threshold: float, tested: Scored) -> dict[str, float]:
    counts = {"pairs": len(tested.scores), "matches": int(tested.is_match.sum())}
    if counts["matches"] >= 10:
        return {**counts, **_whole(threshold, tested)}
    others = tested.scores[~tested.is_match]
    return {**counts, "false_alarms": round(float((others >= threshold).mean()), 4) if len(others) else 0.0}


def _whole(threshold: float, tested: Scored) -> dict[str, float]:
    return {
        "average_precision": round(average_precision(tested.scores, tested.is_match), 4),
        "roc_auc": round(roc_auc(tested.scores, tested.is_match), 4),
        "f1": round(f1_at(threshold, tested), 4),
    }


def _select(tested: Scored, chosen: np.ndarray) -> Scored:
    return Scored(scores=tested.scores[chosen], is_match=tested.is_match[chosen])


def lift(ours: Scored, theirs: Scored, entity: np.ndarray) -> list[float]:
    """Average precision more than another's on the same pairs: value, and the ends of its 95% interval, by entity."""

    def gap(rows: np.ndarray) -> float:
        if not ours.is_match[rows].any():
            return float("nan")
        return average_precision(ours.scores[rows], ours.is_match[rows]) - average_precision(
            theirs.scores[rows], ours.is_match[rows]
        )

    found = bootstrap(gap, entity)
    return [round(found.value, 4), round(found.low, 4), round(found.high, 4)]
