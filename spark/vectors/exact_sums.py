"""Sums of vectors by key that do not depend on how the rows are partitioned.

Floating point sums depend on their order. Here every element is first rounded to a whole multiple of 2^-32, and those add
up exactly: for unit vectors an int64 holds the sum of two thousand million of them.
"""

from collections.abc import Callable, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyspark.sql import DataFrame

from spark.vectors.columns import vectors_from_arrow

FIXED_POINT = 2.0**32
MAX_OPEN_SUMS = 4_096  # keys that a task holds before it hands its partial sums on: 12 MB at 384 dimensions

Batches = Iterator[pa.RecordBatch]
Whole = NDArray[np.int64]


def sum_vectors(frame: DataFrame, key: str) -> DataFrame:
    """``key`` (text), ``total`` (array<double>): the sum of each key's vectors, added up in the tasks before the shuffle."""
    partial = frame.select(key, "vector").mapInArrow(_partial_summer(key), f"`{key}` string, total array<bigint>")
    return partial.groupBy(key).applyInArrow(_final_summer(key), f"`{key}` string, total array<double>")


def sum_by_key(keys: pa.Array, vectors_ND: NDArray[np.float32]) -> dict[str, Whole]:
    """Sums in units of 2^-32, by key."""
    encoded = pc.dictionary_encode(keys)
    order_N = np.argsort(encoded.indices.to_numpy(), kind="stable")
    used, starts = np.unique(encoded.indices.to_numpy()[order_N], return_index=True)
    whole_ND = np.rint(vectors_ND[order_N].astype(np.float64) * FIXED_POINT).astype(np.int64)
    return dict(
        zip(encoded.dictionary.take(pa.array(used)).to_pylist(), np.add.reduceat(whole_ND, starts, axis=0), strict=True)
    )


def _partial_summer(key: str) -> Callable[[Batches], Batches]:
    def flush(sums: dict[str, Whole]) -> pa.RecordBatch:
        totals = pa.array([total.tolist() for total in sums.values()], pa.list_(pa.int64()))
        return pa.RecordBatch.from_pydict({key: pa.array(sums, pa.string()), "total": totals})

    def add_up(batches: Batches) -> Batches:
        sums: dict[str, Whole] = {}
        for batch in batches:
            if not batch.num_rows:
                continue
            for name, total in sum_by_key(batch[key], vectors_from_arrow(batch["vector"])).items():
                sums[name] = sums[name] + total if name in sums else total
            if len(sums) > MAX_OPEN_SUMS:
                yield flush(sums)
                sums = {}
        if sums:
            yield flush(sums)

    return add_up


def _final_summer(key: str) -> Callable[[tuple[pa.Scalar, ...], pa.Table], pa.Table]:
    def add_up(group: tuple[pa.Scalar, ...], partial: pa.Table) -> pa.Table:
        flat = partial["total"].combine_chunks().flatten().to_numpy()
        total_D = flat.reshape(partial.num_rows, -1).sum(axis=0) / FIXED_POINT
        return pa.table({key: pa.repeat(group[0], 1), "total": pa.array([total_D])})

    return add_up
