"""Judges vectors and feature views by the sample catalogue's own labels, beside the strongest simple rival on the same rows.

Intervals come from a bootstrap over entities (products, listings, queries): 95%, of the difference, paired.
Shape suffixes: N listings, P pairs, Q queries, D dimensions.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from sklearn.metrics import average_precision_score, precision_recall_curve

from m5model.gates.intervals import bootstrap

RESAMPLES = 300
DEPTH = 10  # results of a search that count


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """One quality of ours and of a rival on the same rows."""

    task: str
    metric: str
    ours: float
    theirs: float
    rival: str
    low: float  # of ours minus theirs, 95%
    high: float
    rows: int
    beside: Mapping[str, float] = field(default_factory=dict)  # further figures of ours

    @property
    def verdict(self) -> str:
        """``better`` or ``worse`` where the interval has no zero, else ``level``."""
        return "better" if self.low > 0 else "worse" if self.high < 0 else "level"


@dataclass(frozen=True, kw_only=True)
class LabelledPairs:
    """Pairs of listings, by row."""

    left_P: np.ndarray
    right_P: np.ndarray
    is_match_P: np.ndarray  # bool
    entity_P: np.ndarray  # the product of the left listing
    is_test_P: np.ndarray  # bool; the others may choose a threshold


@dataclass(frozen=True, kw_only=True)
class Judgements:
    """Queries and the gains of listings for each, as rows."""

    queries: Sequence[str]
    candidates: Sequence[np.ndarray]  # of each query: rows that are searched
    gains: Sequence[Mapping[int, float]]  # of each query: row → gain; others have none


def compare_pairs(pairs: LabelledPairs, ours_P: np.ndarray, rivals: Mapping[str, np.ndarray]) -> Comparison:
    """Average precision of a similarity over labelled pairs; beside it precision and recall at the best threshold of the
    pairs that are no test pairs."""
    test = np.flatnonzero(pairs.is_test_P)
    is_match = pairs.is_match_P[test]
    rival, theirs = _strongest(rivals, lambda scores: float(average_precision_score(is_match, scores[test])))

    def difference(rows: np.ndarray) -> float:
        labels = is_match[rows]
        if not labels.any():
            return 0.0
        first, second = ours_P[test][rows], rivals[rival][test][rows]
        return float(average_precision_score(labels, first) - average_precision_score(labels, second))

    low, high = _interval(difference, pairs.entity_P[test])
    threshold = best_threshold(pairs.is_match_P[~pairs.is_test_P], ours_P[~pairs.is_test_P])
    found = ours_P[test] >= threshold
    right = float((found & is_match).sum())
    return Comparison(
        task="duplicates",
        metric="average precision",
        ours=float(average_precision_score(is_match, ours_P[test])),
        theirs=theirs,
        rival=rival,
        low=low,
        high=high,
        rows=len(test),
        beside={"precision": right / max(1, found.sum()), "recall": right / max(1, is_match.sum()), "threshold": threshold},
    )


def compare_rows(
    task: str, metric: str, ours_N: np.ndarray, rivals: Mapping[str, np.ndarray], entity_N: np.ndarray, **beside: float
) -> Comparison:
    """The mean of a figure that every row has, e.g. 1 where the brand is right."""
    rival, theirs = _strongest(rivals, lambda values: float(values.mean()))
    gaps = ours_N.astype(float) - rivals[rival]
    low, high = _interval(lambda rows: float(gaps[rows].mean()), entity_N)
    return Comparison(
        task=task,
        metric=metric,
        ours=float(ours_N.mean()),
        theirs=theirs,
        rival=rival,
        low=low,
        high=high,
        rows=len(ours_N),
        beside=beside,
    )


def ndcg_of_each(judgements: Judgements, scores_of: Callable[[int, np.ndarray], np.ndarray]) -> np.ndarray:
    """nDCG@10 of every query (Q,); ``scores_of(query, rows)`` gives the score of each candidate.

    Source: Järvelin and Kekäläinen 2002.
    """
    values = []
    for query, (rows, gains) in enumerate(zip(judgements.candidates, judgements.gains, strict=True)):
        gain = np.asarray([gains.get(int(row), 0.0) for row in rows])
        best = np.argsort(-scores_of(query, rows), kind="stable")[:DEPTH]
        ideal = np.sort(gain)[::-1][:DEPTH]
        values.append(_discounted(gain[best]) / _discounted(ideal) if ideal.any() else 0.0)
    return np.asarray(values)


def interval_of_ratios(counts: np.ndarray, entity: np.ndarray) -> tuple[float, float]:
    """95% of the difference of two ratios: ``counts`` (n, 4) has right and all of ours, right and all of theirs, per row."""

    def difference(rows: np.ndarray) -> float:
        right, every, their_right, their_every = counts[rows].sum(axis=0)
        return float(right / max(1, every) - their_right / max(1, their_every))

    return _interval(difference, entity)


def best_threshold(is_match_P: np.ndarray, scores_P: np.ndarray) -> float:
    """The score from which on a pair is taken for a match, so that F1 is best."""
    precision, recall, thresholds = precision_recall_curve(is_match_P, scores_P)
    f1 = 2 * precision * recall / np.maximum(precision + recall, np.finfo(float).tiny)
    return float(thresholds[f1[:-1].argmax()])


def _strongest(rivals: Mapping[str, np.ndarray], measure: Callable[[np.ndarray], float]) -> tuple[str, float]:
    measured = {name: measure(values) for name, values in rivals.items()}
    name = max(measured, key=measured.__getitem__)
    return name, measured[name]


def _discounted(gain: np.ndarray) -> float:
    return float((gain / np.log2(np.arange(2, 2 + len(gain)))).sum())


def _interval(measure: Callable[[np.ndarray], float], entity: np.ndarray) -> tuple[float, float]:
    """2.5th and 97.5th percentile of ``measure(rows)`` over resampled entities."""
    found = bootstrap(measure, entity, RESAMPLES)
    return found.low, found.high
