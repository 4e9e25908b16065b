"""Vectors between Arrow columns and numpy: plain functions, without Spark.

Shape suffixes: N vectors, D dimensions.
"""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from schemas.errors import BadDataError

Vectors = NDArray[np.float32]


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


def to_unit_length(vectors_ND: NDArray[np.floating]) -> NDArray[np.float64]:
    """Each vector divided by its length, float64; zero vectors stay zero."""
    wide = vectors_ND.astype(np.float64)
    lengths = np.linalg.norm(wide, axis=1, keepdims=True)
    return wide / np.where(lengths > 0, lengths, 1.0)
