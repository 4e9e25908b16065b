"""Metrics of tasks, on arrays. Each is a number of which more is better."""

from collections.abc import Set as AbstractSet

import numpy as np


def average_precision(scores: np.ndarray, labels: np.ndarray) -> float:
    """Mean precision at every positive, best scores first; positives of equal scores are counted after negatives.

    ``scores`` (n,), ``labels`` (n,) bool. 0 where there is no positive.
    """
    order = np.lexsort((labels, -scores))
    hits = labels[order].astype(np.float64)
    precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
    return float((precision * hits).sum() / max(1.0, hits.sum()))


def ndcg(scores: np.ndarray, gains: np.ndarray, groups: np.ndarray, k: int = 10) -> float:
    """Mean over groups (queries) of the discounted gain of the k best scores, as a share of the best possible.

    All (n,). Groups without any gain, or of one row, say nothing and are left out (Järvelin and Kekäläinen 2002).
    """
    values = []
    for group in np.unique(groups):
        own = groups == group
        best = _discounted(np.sort(gains[own])[::-1], k)
        if own.sum() > 1 and best > 0:
            ranked = gains[own][np.lexsort((gains[own], -scores[own]))]
            values.append(_discounted(ranked, k) / best)
    return float(np.mean(values)) if values else 0.0


def _discounted(gains: np.ndarray, k: int) -> float:
    top = gains[:k]
    return float((top / np.log2(np.arange(2, len(top) + 2))).sum())


def mean_reciprocal_rank(scores_NM: np.ndarray, positive_NM: np.ndarray) -> float:
    """Mean over rows of 1 / rank of the best positive; ties count against it. Rows without a positive are left out."""
    rows = positive_NM.any(1)
    if not rows.any():
        return 0.0
    best = np.where(positive_NM, scores_NM, -np.inf).max(1, keepdims=True)
    ahead = ((scores_NM >= best) & ~positive_NM).sum(1)
    return float((1.0 / (1 + ahead[rows])).mean())


def f1(found: AbstractSet[object], true: AbstractSet[object]) -> float:
    """Harmonic mean of precision and recall of a set against the true one."""
    both = len(found & true)
    return 2 * both / max(1, len(found) + len(true))
