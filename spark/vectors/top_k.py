"""Exact top-k of vectors by cosine, in blocks of bounded memory: plain numpy, without Spark.

Shape suffixes: N vectors, D dimensions, Q queries, K best.

Scores are computed in float64 and compared as whole millionths; of equal scores the smaller column comes first. BLAS may round
a product differently in another shape of matrix (by some 1e-16), so this is what makes results the same for any partitioning.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spark.vectors.columns import Vectors

MICRO = 1_000_000  # a cosine of 1 in millionths
FEW = 2
# Of an inner product of unit vectors of up to 1,024 dimensions in float32: dimensions times 2^-24 (Higham, "Accuracy and
# Stability of Numerical Algorithms", 2002).
ROUGH_ERROR = 6.2e-5
CLEAR = 2 * ROUGH_ERROR + 2 / MICRO  # scores further apart have the same order when they are exact and rounded to millionths
SCORES_PER_BLOCK = 4_000_000  # float64 scores held at once: 32 MB
# Float32 scores held at once: 0.8 MB, so that looking through them several times stays in a core's cache.
ROUGH_SCORES = 200_000
ROUGH_ROWS = 256  # at least, so that products run at full speed

Scores = NDArray[np.float64]


def row_blocks(rows: int, columns: int) -> Iterator[slice]:
    """Slices of ``rows`` such that a block of scores against ``columns`` holds at most SCORES_PER_BLOCK (or is one row)."""
    step = max(1, SCORES_PER_BLOCK // max(1, columns))
    return (slice(start, min(start + step, rows)) for start in range(0, rows, step))


def rough_blocks(rows: int, columns: int) -> Iterator[slice]:
    """Slices of ``rows`` whose float32 scores against ``columns`` are looked through by ``best_of_rough``."""
    step = max(ROUGH_ROWS, ROUGH_SCORES // max(1, columns))
    return (slice(start, min(start + step, rows)) for start in range(0, rows, step))


def score_pairs(one_ND: NDArray[Any], other_MD: NDArray[Any], row_P: NDArray[np.int64], place_P: NDArray[np.int64]) -> Scores:
    """Exact float64 products of pairs of vectors, each by its row on either side."""
    wide = one_ND[row_P].astype(np.float64, copy=False), other_MD[place_P].astype(np.float64, copy=False)
    scores_P: Scores = np.einsum("pd,pd->p", *wide)
    return scores_P


def best_columns(scores_QN: Scores, k: int) -> tuple[NDArray[np.int64], Scores]:
    """``columns_QK`` and ``micro_QK``: the best ``min(k, N)`` columns per row, best first, with their rounded scores.

    Scores are between -1 and 1, or -inf for "never". Rounded to millionths; equal ones in ascending order of the column.
    """
    columns = scores_QN.shape[1]
    kept = min(k, columns)
    # Rounded score and column in one float64: 21 bits for the score leave 32 for the column, so keys are exact and distinct.
    keys_QN = np.rint(np.clip(scores_QN, None, 1.0) * MICRO) * columns - np.arange(columns)
    if kept <= FEW:
        columns_QK = _largest(keys_QN, kept)
        return columns_QK, _micro(scores_QN, columns_QK)
    best_QK = np.argpartition(keys_QN, columns - kept, axis=1)[:, columns - kept :]
    order_QK = np.argsort(-np.take_along_axis(keys_QN, best_QK, axis=1), axis=1, kind="stable")
    columns_QK = np.take_along_axis(best_QK, order_QK, axis=1)
    return columns_QK, _micro(scores_QN, columns_QK)


def best_of_rough(
    rough_QN: Vectors, exact: Callable[[NDArray[np.int64], NDArray[np.int64]], Scores], k: int
) -> tuple[NDArray[np.int64], Scores]:
    """What ``best_columns`` makes of exact scores, by way of float32 ones that are at most ROUGH_ERROR away from them.

    ``exact`` gives the float64 scores of pairs (row, column). It is asked for the columns that may be among the best ``k``
    alone: for a few of many this is several times quicker.
    """
    kept = min(k, rough_QN.shape[1])
    least_Q = _least_of_best(rough_QN, kept)
    row_P, column_P = np.nonzero(rough_QN >= least_Q[:, None] - CLEAR)
    micro_P = np.rint(np.minimum(exact(row_P, column_P), 1.0) * MICRO)
    order_P = np.lexsort((column_P, -micro_P, row_P))
    first_Q = np.searchsorted(row_P, np.arange(len(rough_QN)))
    best_QK = order_P[first_Q[:, None] + np.arange(kept)]
    return column_P[best_QK], micro_P[best_QK]


def _least_of_best(rough_QN: Vectors, kept: int) -> Vectors:
    """The score of the last of the best ``kept`` columns."""
    if kept > FEW:
        return np.partition(rough_QN, rough_QN.shape[1] - kept, axis=1)[:, rough_QN.shape[1] - kept]
    columns_QK = _largest(rough_QN.copy(), kept)
    return np.take_along_axis(rough_QN, columns_QK, axis=1).min(axis=1, initial=np.inf)


def _largest(keys_QN: NDArray[np.floating], kept: int) -> NDArray[np.int64]:
    """The columns of the largest keys, largest first. For a few, looking for each is quicker than a partition."""
    columns_QK = np.zeros((len(keys_QN), kept), np.int64)
    rows_Q = np.arange(len(keys_QN))
    for place in range(kept):
        columns_QK[:, place] = keys_QN.argmax(axis=1)
        keys_QN[rows_Q, columns_QK[:, place]] = -np.inf
    return columns_QK


def _micro(scores_QN: Scores, columns_QK: NDArray[np.int64]) -> Scores:
    return np.rint(np.clip(np.take_along_axis(scores_QN, columns_QK, axis=1), -np.inf, 1.0) * MICRO)


def search_blocks(
    queries_QD: Vectors, index_ND: Vectors, k: int, own_Q: NDArray[np.int64]
) -> Iterator[tuple[slice, NDArray[np.int64], Scores]]:
    """Exact top-k by cosine of unit vectors, block by block of queries: the block, ``columns_QK`` and ``micro_QK``.

    ``own_Q`` is the position in the index of the query itself, which is no neighbour (micro -inf), or -1.
    """
    index_DN = index_ND.astype(np.float64).T
    for block in row_blocks(len(queries_QD), len(index_ND)):
        scores_QN = queries_QD[block].astype(np.float64) @ index_DN
        rows = np.flatnonzero(own_Q[block] >= 0)
        scores_QN[rows, own_Q[block][rows]] = -np.inf
        yield block, *best_columns(scores_QN, k)
