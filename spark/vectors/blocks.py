"""Vectors between Arrow columns and numpy, and exact top-k in blocks: plain functions, without Spark.

Shape suffixes: N vectors, D dimensions, Q queries, K best, C cells, S sample.

Scores are computed in float64 and compared as whole millionths, ties going to the smaller column. BLAS may round a product
differently in another shape of matrix (by some 1e-16), so this is what makes results the same for any partitioning.
"""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from schemas.errors import BadDataError

MICRO = 1_000_000  # a cosine of 1 in millionths
SCORES_PER_BLOCK = 4_000_000  # float64 scores held at once: 32 MB

Vectors = NDArray[np.float32]
Scores = NDArray[np.float64]


def vectors_from_arrow(column: pa.ListArray | pa.BinaryArray) -> Vectors:
    """``vectors_ND`` float32 of a column of list<float> or of little-endian float32 bytes; N x 0 where N is 0.

    Raises ``BadDataError`` where the vectors differ in length.
    """
    if not len(column):
        return np.zeros((0, 0), np.float32)
    is_binary = pa.types.is_binary(column.type)
    lengths = pc.min_max(pc.binary_length(column) if is_binary else pc.list_value_length(column)).as_py()
    if lengths["min"] != lengths["max"]:
        raise BadDataError(
            f"vectors of {lengths['min']} and of {lengths['max']} elements in one space", next_step="embed the listings again"
        )
    flat = np.frombuffer(b"".join(column.to_pylist()), "<f4") if is_binary else column.flatten().to_numpy()
    return flat.astype(np.float32, copy=False).reshape(len(column), -1)


def vectors_to_bytes(vectors_ND: Vectors) -> pa.BinaryArray:
    """One binary value of D x 4 bytes per vector: Spark copies it whole, not element by element."""
    rows, width = vectors_ND.shape[0], vectors_ND.shape[1] * 4
    offsets = np.arange(rows + 1, dtype=np.int32) * np.int32(width)
    data = pa.py_buffer(np.ascontiguousarray(vectors_ND, dtype="<f4"))
    return pa.Array.from_buffers(pa.binary(), rows, [None, pa.py_buffer(offsets), data])


def vectors_to_lists(vectors_ND: NDArray[np.floating]) -> pa.ListArray:
    """A column of list<float32>."""
    rows, width = vectors_ND.shape
    offsets = np.arange(rows + 1, dtype=np.int32) * np.int32(width)
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(vectors_ND.astype(np.float32).ravel()))


def row_blocks(rows: int, columns: int) -> Iterator[slice]:
    """Slices of ``rows`` such that a block of scores against ``columns`` holds at most SCORES_PER_BLOCK (or is one row)."""
    step = max(1, SCORES_PER_BLOCK // max(1, columns))
    return (slice(start, min(start + step, rows)) for start in range(0, rows, step))


def best_columns(scores_QN: Scores, k: int) -> tuple[NDArray[np.int64], Scores]:
    """``columns_QK`` and ``micro_QK``: the best ``min(k, N)`` columns per row, best first, with their rounded scores.

    Scores are between -1 and 1, or -inf for "never". Rounded to millionths; equal ones in ascending order of the column.
    """
    columns = scores_QN.shape[1]
    kept = min(k, columns)
    # Rounded score and column in one float64: 21 bits for the score leave 32 for the column, so keys are exact and distinct.
    keys_QN = np.rint(np.clip(scores_QN, None, 1.0) * MICRO) * columns - np.arange(columns)
    best_QK = np.argpartition(keys_QN, columns - kept, axis=1)[:, columns - kept :]
    order_QK = np.argsort(-np.take_along_axis(keys_QN, best_QK, axis=1), axis=1, kind="stable")
    columns_QK = np.take_along_axis(best_QK, order_QK, axis=1)
    micro_QK = np.rint(np.clip(np.take_along_axis(scores_QN, columns_QK, axis=1), -np.inf, 1.0) * MICRO)
    return columns_QK, micro_QK


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
