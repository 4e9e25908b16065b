"""Candidates for pairs: nearest neighbours in one space, exact, and how many of the known matches they hold.

Tensor suffixes: N texts, D dimensions.
"""

from dataclasses import dataclass

import numpy as np

BLOCK_ROWS = 1_024


@dataclass(frozen=True, kw_only=True)
class Candidates:
    """Pairs of places, each once, left below right."""

    left: np.ndarray  # (c,) int64
    right: np.ndarray
    cosine: np.ndarray  # (c,) float32


def find_candidates(vectors_ND: np.ndarray, neighbours: int) -> Candidates:
    """Every text with its nearest others. Unit vectors of one space; ties count in the order of the texts."""
    count = min(neighbours, len(vectors_ND) - 1)
    found: dict[tuple[int, int], float] = {}
    for start in range(0, len(vectors_ND), BLOCK_ROWS):
        cosines = vectors_ND[start : start + BLOCK_ROWS] @ vectors_ND.T
        rows = np.arange(len(cosines))
        cosines[rows, start + rows] = -np.inf
        nearest = np.argsort(-cosines, axis=1, kind="stable")[:, :count]
        for row, places in zip(rows.tolist(), nearest.tolist(), strict=True):
            for place in places:
                found[min(start + row, place), max(start + row, place)] = float(cosines[row, place])
    pairs = np.asarray(sorted(found), np.int64).reshape(len(found), 2)
    return Candidates(
        left=pairs[:, 0], right=pairs[:, 1], cosine=np.asarray([found[one, other] for one, other in pairs.tolist()], np.float32)
    )


def ranks_of_matches(vectors_ND: np.ndarray, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Rank (m,) from 1 of a match among the neighbours of its other side, the better of both directions; ties count against."""
    return np.minimum(_ranks(vectors_ND, left, right), _ranks(vectors_ND, right, left))


def _ranks(vectors_ND: np.ndarray, query: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    ranks = np.empty(len(query), np.int64)
    for start in range(0, len(query), BLOCK_ROWS):
        block = slice(start, start + BLOCK_ROWS)
        cosines = vectors_ND[query[block]] @ vectors_ND.T
        own = np.take_along_axis(cosines, wanted[block, None], axis=1)
        itself = np.take_along_axis(cosines, query[block, None], axis=1)[:, 0] >= own[:, 0]
        ranks[block] = (cosines >= own).sum(axis=1) - itself
    return ranks
