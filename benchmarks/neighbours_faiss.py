"""The neighbour search of one locale (spark/vectors/top_k.py, spark/neighbours) beside faiss's, one thread, in turn.

    pip install faiss-cpu==1.15.1        (not a dependency; see docs/decisions/2026-11-27-neighbours-stay-ours.md)
    python benchmarks/neighbours_faiss.py [--rows 2000] [--rows-with-cells 8000]

Unit vectors around random directions; for the exact search every vector occurs twice, so that there are ties. The last line of
stdout is one JSON object. Without faiss, ours alone.
"""

import argparse
import importlib.util
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[variable] = "1"  # read when numpy and faiss are imported

import numpy as np  # noqa: E402

sys.path.insert(0, str(Path(__file__).parent.parent))

from spark.neighbours.kmeans import nearest_cells, train_centroids  # noqa: E402
from spark.vectors.columns import Vectors, to_unit_length  # noqa: E402
from spark.vectors.top_k import MICRO, Scores, search_blocks  # noqa: E402

NEIGHBOURS, DIMENSIONS, PROBES, ITERATIONS, ROUNDS = 10, 384, 8, 10, 3
Found = np.ndarray  # (N, NEIGHBOURS) positions, nearest first
Result = TypeVar("Result")


def main() -> int:
    parser = argparse.ArgumentParser(description="Neighbours in one locale, ours and faiss's.")
    parser.add_argument("--rows", type=int, default=2_000, help="of the exact search (default: %(default)s)")
    parser.add_argument("--rows-with-cells", type=int, default=8_000, help="of the search in cells (default: %(default)s)")
    arguments = parser.parse_args()
    has_faiss = importlib.util.find_spec("faiss") is not None
    figures = {
        "exact": measure_exact(arguments.rows, has_faiss),
        "cells": measure_cells(arguments.rows_with_cells, has_faiss),
    }
    print(json.dumps({"dimensions": DIMENSIONS, "neighbours": NEIGHBOURS, **figures}))
    return 0


def measure_exact(rows: int, has_faiss: bool) -> dict[str, float]:
    """Seconds, and how many rows of faiss's answer change with what must not matter."""
    vectors = draw_vectors(rows // 2, rows // 40, seed=1)
    vectors = np.concatenate([vectors, vectors])
    seconds, (ours, micro) = time_best(lambda: search_ours(vectors))
    figures: dict[str, float] = {"rows": rows, "ours_s": round(seconds, 3)}
    if not has_faiss:
        return figures
    seconds, (theirs, scores) = time_best(lambda: search_faiss(vectors, len(vectors)))
    order = np.random.default_rng(2).permutation(rows)
    shuffled = np.empty_like(theirs)
    shuffled[order] = order[search_faiss(vectors[order], rows)[0]]
    in_sevens = search_faiss(vectors, 7)[1]
    return figures | {
        "faiss_s": round(seconds, 3),
        "rows_with_another_neighbour": count_other_sets(ours, theirs),
        "rows_with_another_millionth": int((np.rint(np.minimum(scores, 1.0) * MICRO) != micro).any(axis=1).sum()),
        "faiss_rows_that_change_with_the_order_of_rows": count_other_sets(theirs, shuffled),
        "faiss_rows_that_change_with_the_batch": int((in_sevens != scores).any(axis=1).sum()),
    }


def measure_cells(rows: int, has_faiss: bool) -> dict[str, float]:
    """Seconds for k-means and for the search, and recall against the exact search."""
    vectors = draw_vectors(rows, rows // 50, seed=3)
    cells = round(rows**0.5)
    truth, _ = search_ours(vectors)
    training, centroids = time_best(lambda: train_centroids(vectors, cells, ITERATIONS, 0), rounds=1)
    seconds, found = time_best(lambda: search_our_cells(vectors, centroids), rounds=1)
    figures = {"rows": rows, "cells": cells, "ours_train_s": training, "ours_s": seconds, "ours_recall": recall(found, truth)}
    if has_faiss:
        training, centroids = time_best(lambda: train_faiss(vectors, cells), rounds=1)
        seconds, found = time_best(lambda: search_faiss_cells(vectors, centroids), rounds=1)
        figures |= {"faiss_train_s": training, "faiss_s": seconds, "faiss_recall": recall(found, truth)}
    return {name: round(value, 3) for name, value in figures.items()}


def draw_vectors(rows: int, clusters: int, seed: int) -> Vectors:
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(clusters, DIMENSIONS))
    noisy = centres[rng.integers(clusters, size=rows)] + 0.8 * rng.normal(size=(rows, DIMENSIONS))
    return to_unit_length(noisy).astype(np.float32)


def search_ours(vectors: Vectors) -> tuple[Found, Scores]:
    blocks = list(search_blocks(vectors, vectors, NEIGHBOURS, np.arange(len(vectors))))
    return np.concatenate([found for _, found, _ in blocks]), np.concatenate([micro for *_, micro in blocks])


def search_faiss(vectors: Vectors, batch: int) -> tuple[Found, Vectors]:
    import faiss

    index = faiss.IndexFlatIP(DIMENSIONS)
    index.add(vectors)
    parts = [index.search(vectors[start : start + batch], NEIGHBOURS + 1) for start in range(0, len(vectors), batch)]
    return without_itself(np.concatenate([found for _, found in parts]), np.concatenate([scores for scores, _ in parts]))


def search_our_cells(vectors: Vectors, centroids: Vectors) -> Found:
    """What the tasks of spark/neighbours/search.py do, cell after cell, and the merge."""
    visited = nearest_cells(vectors, centroids, PROBES)
    found: list[list[np.ndarray]] = [[] for _ in vectors]
    for cell in range(len(centroids)):
        stored, asked = np.flatnonzero(visited[:, 0] == cell), np.flatnonzero((visited == cell).any(axis=1))
        if not len(stored):
            continue
        places = {row: place for place, row in enumerate(stored.tolist())}
        own = np.array([places.get(row, -1) for row in asked.tolist()])
        for block, columns, micro in search_blocks(vectors[asked], vectors[stored], NEIGHBOURS, own):
            for row, pair in zip(asked[block], np.stack([-micro, stored[columns]], axis=1), strict=True):
                found[row].append(pair)
    merged = [np.concatenate(parts, axis=1) for parts in found]
    return np.array([pair[1][np.lexsort((pair[1], pair[0]))][:NEIGHBOURS] for pair in merged], np.int64)


def train_faiss(vectors: Vectors, cells: int) -> Vectors:
    import faiss

    kmeans = faiss.Kmeans(DIMENSIONS, cells, niter=ITERATIONS, spherical=True, seed=1, max_points_per_centroid=10**6)
    kmeans.train(vectors)
    return kmeans.centroids


def search_faiss_cells(vectors: Vectors, centroids: Vectors) -> Found:
    import faiss

    centres = faiss.IndexFlatIP(DIMENSIONS)
    centres.add(centroids)
    index = faiss.IndexIVFFlat(centres, DIMENSIONS, len(centroids), faiss.METRIC_INNER_PRODUCT)
    index.is_trained = True
    index.add(vectors)
    index.nprobe = PROBES
    scores, found = index.search(vectors, NEIGHBOURS + 1)
    return without_itself(found, scores)[0]


def without_itself(found: np.ndarray, scores: np.ndarray) -> tuple[Found, Vectors]:
    """The first NEIGHBOURS that are not the row itself, which another vector like it may precede."""
    kept = [np.flatnonzero(columns != row)[:NEIGHBOURS] for row, columns in enumerate(found)]
    return np.take_along_axis(found, np.array(kept), axis=1), np.take_along_axis(scores, np.array(kept), axis=1)


def time_best(work: Callable[[], Result], rounds: int = ROUNDS) -> tuple[float, Result]:
    best = float("inf")
    for _ in range(rounds):
        started = time.perf_counter()
        result = work()
        best = min(best, time.perf_counter() - started)
    return best, result


def count_other_sets(one: Found, other: Found) -> int:
    return int((np.sort(one, axis=1) != np.sort(other, axis=1)).any(axis=1).sum())


def recall(found: Found, truth: Found) -> float:
    return float(np.mean([len(np.intersect1d(row, true)) / NEIGHBOURS for row, true in zip(found, truth, strict=True)]))


if __name__ == "__main__":
    raise SystemExit(main())
