"""Spherical k-means: centroids of unit vectors by cosine (Dhillon and Modha, 2001)."""

from functools import partial

import numpy as np
from numpy.typing import NDArray

from spark.vectors.columns import Vectors, to_unit_length
from spark.vectors.top_k import best_columns, best_of_rough, rough_blocks, row_blocks, score_pairs


def train_centroids(sample_SD: Vectors, cells: int, iterations: int, seed: int) -> Vectors:
    """``centroids_CD`` float32 unit vectors; C is the smaller of ``cells`` and S. Depends on the order of the sample."""
    cells = min(cells, len(sample_SD))
    chosen = np.random.default_rng(seed).choice(len(sample_SD), cells, replace=False)
    centroids_CD = sample_SD[chosen]
    for _ in range(iterations):
        nearest_S, score_S = _nearest_in_float32(sample_SD, centroids_CD)
        centroids_CD = _means(sample_SD, nearest_S, score_S, cells)
    return centroids_CD


def nearest_cells(vectors_ND: Vectors, centroids_CD: Vectors, probes: int) -> NDArray[np.int64]:
    """``cells_NP``: the nearest ``min(probes, C)`` cells of each vector, nearest first."""
    found = np.zeros((len(vectors_ND), min(probes, len(centroids_CD))), np.int64)
    centroids_DC = centroids_CD.astype(np.float64).T
    for block in row_blocks(len(vectors_ND), len(centroids_CD)):
        found[block], _ = best_columns(vectors_ND[block].astype(np.float64) @ centroids_DC, probes)
    return found


def nearest_cell(vectors_ND: Vectors, centroids_CD: Vectors) -> NDArray[np.int64]:
    """``cell_N``: the first of ``nearest_cells``, by float32 where that tells cells apart."""
    found = np.zeros(len(vectors_ND), np.int64)
    for block in rough_blocks(len(vectors_ND), len(centroids_CD)):
        vectors_BD = vectors_ND[block]
        nearest_B1, _ = best_of_rough(vectors_BD @ centroids_CD.T, partial(score_pairs, vectors_BD, centroids_CD), 1)
        found[block] = nearest_B1[:, 0]
    return found


def _nearest_in_float32(sample_SD: Vectors, centroids_CD: Vectors) -> tuple[NDArray[np.int64], Vectors]:
    nearest_S = np.zeros(len(sample_SD), np.int64)
    score_S = np.zeros(len(sample_SD), np.float32)
    for block in row_blocks(len(sample_SD), len(centroids_CD)):
        scores_SC = sample_SD[block] @ centroids_CD.T
        nearest_S[block], score_S[block] = scores_SC.argmax(axis=1), scores_SC.max(axis=1)
    return nearest_S, score_S


def _means(sample_SD: Vectors, nearest_S: NDArray[np.int64], score_S: Vectors, cells: int) -> Vectors:
    """Mean direction of every cell; an empty cell starts again at one of the vectors that fit their cell worst."""
    order_S = np.argsort(nearest_S, kind="stable")
    used, starts = np.unique(nearest_S[order_S], return_index=True)
    centroids_CD = np.zeros((cells, sample_SD.shape[1]), np.float64)
    centroids_CD[used] = np.add.reduceat(sample_SD[order_S], starts, axis=0, dtype=np.float64)
    empty = np.setdiff1d(np.arange(cells), used)
    centroids_CD[empty] = sample_SD[np.argsort(score_S, kind="stable")[: len(empty)]]
    return to_unit_length(centroids_CD).astype(np.float32)
