"""Changes vectors of listings: a given map, or an orthogonal projection to fewer dimensions that the space's id seeds.

Projection to D' of D dimensions keeps inner products up to noise of the order 1/sqrt(D') (Johnson and Lindenstrauss, 1984);
where D is the smaller, the vectors are embedded isometrically, so that cosines stay what they were.
"""

from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql import DataFrame

from schemas.space import sha256_hex
from spark.vectors.columns import to_unit_length, vectors_from_arrow, vectors_to_lists

Batches = Iterator[pa.RecordBatch]
Vectors = NDArray[Any]
BLOCK_ROWS = 256  # large enough that products run at full speed


@lru_cache(maxsize=4)
def projection_matrix(space_id: str, dimensions: int, projected: int) -> NDArray[np.float64]:
    """``matrix_DP``, D x ``projected``: orthonormal columns, or rows where D is the smaller. The same for equal arguments."""
    seed = int(sha256_hex(f"{space_id}:{projected}".encode())[:16], 16)
    gaussian = np.random.default_rng(seed).normal(size=(max(dimensions, projected), min(dimensions, projected)))
    q, r = np.linalg.qr(gaussian)
    q *= np.sign(np.diag(r))  # QR leaves signs open; with a positive diagonal it is unique
    return q if dimensions >= projected else q.T


def project_vectors(listings: DataFrame, space_id: str, projected: int, *, unit_length: bool) -> DataFrame:
    """``vector`` replaced by its projection (array<float> of ``projected`` elements); the other columns as they are."""

    return map_vectors(listings, projection(space_id, projected, unit_length=unit_length))


def projection(space_id: str, projected: int, *, unit_length: bool) -> Callable[[Vectors], Vectors]:
    """What projects many vectors at a time, (N, D) to (N, ``projected``)."""

    def project(vectors_ND: Vectors) -> Vectors:
        projected_NP = vectors_ND.astype(np.float64) @ projection_matrix(space_id, vectors_ND.shape[1], projected)
        return to_unit_length(projected_NP) if unit_length else projected_NP

    return project


def map_vectors(listings: DataFrame, change: Callable[[Vectors], Vectors]) -> DataFrame:
    """``vector`` (array<float>) replaced by what ``change`` makes of many at a time (N, D); the other columns as they are."""
    others = [column for column in listings.columns if column != "vector"]
    selected = listings.select(*others, "vector")
    return selected.mapInArrow(_mapper(change), selected.schema)


def map_column(column: pa.ListArray, change: Callable[[Vectors], Vectors]) -> pa.ListArray:
    """A column of vectors, each replaced as ``map_vectors`` does it."""
    return vectors_to_lists(map_in_blocks(vectors_from_arrow(column), change)) if len(column) else column


def map_in_blocks(vectors_ND: Vectors, change: Callable[[Vectors], Vectors]) -> Vectors:
    """What ``change`` makes of every vector, in blocks of BLOCK_ROWS, the last one filled up with zeros.

    BLAS rounds a product otherwise in another shape of matrix. In one shape a vector's image is the same whatever lies beside
    it, so that building some rows of a view anew gives the bytes that building all of them gives.
    """
    rows = len(vectors_ND)
    padded_ND = np.zeros((-(-rows // BLOCK_ROWS) * BLOCK_ROWS, vectors_ND.shape[1]), vectors_ND.dtype)
    padded_ND[:rows] = vectors_ND
    images = [change(padded_ND[start : start + BLOCK_ROWS]) for start in range(0, len(padded_ND), BLOCK_ROWS)]
    return np.concatenate(images)[:rows]


def _mapper(change: Callable[[Vectors], Vectors]) -> Callable[[Batches], Batches]:
    def apply(batches: Batches) -> Batches:
        for batch in batches:
            if not batch.num_rows:
                continue
            column = map_column(batch["vector"], change)
            yield batch.set_column(batch.schema.get_field_index("vector"), "vector", column)

    return apply
