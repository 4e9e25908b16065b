"""Sums of vectors by key that do not depend on how the rows are partitioned.

Floating point sums depend on their order. Here every element is first rounded to a whole multiple of 2^-32, and those add
up exactly: for unit vectors an int64 holds the sum of two thousand million of them.
"""

from collections import Counter
from collections.abc import Callable, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from spark.vectors.columns import vectors_from_arrow

FIXED_POINT = 2.0**32
MAX_OPEN_SUMS = 4_096  # keys that a task holds before it hands its partial sums on: 12 MB at 384 dimensions

Batches = Iterator[pa.RecordBatch]
Whole = NDArray[np.int64]


def sum_vectors(frame: DataFrame, key: str) -> DataFrame:
    """``key`` (text), ``rows``, ``total`` (array<bigint>, units of 2^-32): the exact sum of each key's vectors.

    They are added up in the tasks before the shuffle.
    """
    schema = f"`{key}` string, rows bigint, total array<bigint>"
    partial = frame.select(key, "vector").mapInArrow(_partial_summer(key), schema)
    return partial.groupBy(key).applyInArrow(_final_summer(key), schema)


def subtract_sums(more: DataFrame, less: DataFrame, key: str) -> DataFrame:
    """What is left of sums, as ``sum_vectors`` gives them, when others are taken off; keys of no rows are left out."""
    negative = less.select(key, (-F.col("rows")).alias("rows"), F.transform("total", lambda value: -value).alias("total"))
    schema = f"`{key}` string, rows bigint, total array<bigint>"
    return more.select(key, "rows", "total").unionByName(negative).groupBy(key).applyInArrow(_final_summer(key), schema)


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
    def flush(sums: dict[str, Whole], rows: Counter[str]) -> pa.RecordBatch:
        totals = pa.array([total.tolist() for total in sums.values()], pa.list_(pa.int64()))
        counts = pa.array([rows[name] for name in sums], pa.int64())
        return pa.RecordBatch.from_pydict({key: pa.array(sums, pa.string()), "rows": counts, "total": totals})

    def add_up(batches: Batches) -> Batches:
        sums: dict[str, Whole] = {}
        rows = Counter[str]()
        for batch in batches:
            if not batch.num_rows:
                continue
            rows.update(batch[key].to_pylist())
            for name, total in sum_by_key(batch[key], vectors_from_arrow(batch["vector"])).items():
                sums[name] = sums[name] + total if name in sums else total
            if len(sums) > MAX_OPEN_SUMS:
                yield flush(sums, rows)
                sums, rows = {}, Counter()
        if sums:
            yield flush(sums, rows)

    return add_up


def _final_summer(key: str) -> Callable[[tuple[pa.Scalar, ...], pa.Table], pa.Table]:
    def add_up(group: tuple[pa.Scalar, ...], partial: pa.Table) -> pa.Table:
        rows = pc.sum(partial["rows"]).as_py()
        flat = partial["total"].combine_chunks().flatten().to_numpy()
        total_D = flat.reshape(partial.num_rows, -1).sum(axis=0)
        sums = pa.table({key: pa.repeat(group[0], 1), "rows": pa.array([rows], pa.int64()), "total": pa.array([total_D])})
        return sums if rows else sums.slice(0, 0)

    return add_up
