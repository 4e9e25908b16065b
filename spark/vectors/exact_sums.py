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
    return partial.repartition(key).mapInArrow(_final_summer(key), schema)


def add_sums(sums: pa.Table, key: str) -> pa.Table:
    """Adds up the sums of each key, as ``sum_vectors`` gives them; keys of no rows are left out."""
    if not len(sums):
        return sums
    encoded = pc.dictionary_encode(sums[key].combine_chunks())
    key_S = encoded.indices.to_numpy()
    order_S = np.argsort(key_S, kind="stable")
    _, starts = np.unique(key_S[order_S], return_index=True)
    total_SD = sums["total"].combine_chunks().flatten().to_numpy().reshape(len(sums), -1)
    rows = np.add.reduceat(sums["rows"].to_numpy()[order_S], starts)
    total_KD = np.add.reduceat(total_SD[order_S], starts, axis=0)[rows != 0]
    offsets = pa.array(np.arange(len(total_KD) + 1, dtype=np.int32) * np.int32(total_SD.shape[1]))
    columns = [
        encoded.dictionary.filter(pa.array(rows != 0)),
        rows[rows != 0],
        pa.ListArray.from_arrays(offsets, total_KD.ravel()),
    ]
    return pa.table(columns, names=[key, "rows", "total"]).cast(sum_schema(key))


def take_off(sums: pa.Table) -> pa.Table:
    """The same sums with the opposite sign: adding them takes them off."""
    total = sums["total"].combine_chunks()
    negative = pa.ListArray.from_arrays(total.offsets, pc.negate(total.values))
    place = sums.column_names.index("total")
    taken = sums.set_column(place, sums.schema.field(place), negative)
    return taken.set_column(1, sums.schema.field(1), pc.negate(sums["rows"]))


def sum_schema(key: str) -> pa.Schema:
    return pa.schema([(key, pa.string()), ("rows", pa.int64()), ("total", pa.list_(pa.int64()))])


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


def _final_summer(key: str) -> Callable[[Batches], Batches]:
    def add_up(batches: Batches) -> Batches:
        partial = pa.Table.from_batches(batches, sum_schema(key))
        yield from add_sums(partial, key).to_batches()

    return add_up
