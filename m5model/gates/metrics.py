"""Metrics of scores against labels. Each is a number of which more is better.

Tensor suffixes: P pairs, Q queries, N texts, D dimensions.
"""

import numpy as np

from m5model.tasks._metrics import average_precision

__all__ = ["average_precision", "recall_at", "roc_auc"]


def roc_auc(scores_P: np.ndarray, is_match_P: np.ndarray) -> float:
    """Area under the ROC curve: the share of (match, other) pairs in which the match scores more, ties counted half.

    NaN where there are no matches, or nothing else (Hanley and McNeil 1982).
    """
    matches = int(is_match_P.sum())
    others = len(is_match_P) - matches
    if not matches or not others:
        return float("nan")
    _, place, counts = np.unique(scores_P, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[place]  # mean rank of equal scores
    return float((ranks[is_match_P].sum() - matches * (matches + 1) / 2) / (matches * others))


def recall_at(
    k: int, query_QD: np.ndarray, found_ND: np.ndarray, partner_Q: np.ndarray, left_out: np.ndarray | None = None
) -> np.ndarray:
    """Is the partner (place among the N) one of the k texts nearest to each query? (Q,) float64 of 0 and 1; ties count against.

    ``left_out`` (Q,) are places that are no answer, such as the query itself. Vectors are of unit length.
    """
    cosines_QN = query_QD @ found_ND.T
    if left_out is not None:
        cosines_QN[np.arange(len(left_out)), left_out] = -np.inf
    own_Q1 = np.take_along_axis(cosines_QN, partner_Q[:, None], axis=1)
    ahead_Q = (cosines_QN >= own_Q1).sum(axis=1) - 1
    return (ahead_Q < k).astype(np.float64)
