"""Hashes of listing keys, in Python and in Spark the same numbers, and which of them occur more than once."""

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from xxhash import xxh64_intdigest

from schemas.listing import LISTING_KEY

KEYS_PER_PARTITION = 1_000_000  # sorted at once: 8 bytes each
FEW_KEYS = 200_000  # so many are sorted in the driver: sooner done than a shuffle is planned
SPARK_SEED = 42  # of Spark's xxhash64


def hash_keys(locales: Sequence[str], item_ids: Sequence[str]) -> pa.Int64Array:
    """Hashes of keys as Spark's ``xxhash64(locale, item_id)`` has them: a column's hash is the seed of the next."""
    seeds = {locale: xxh64_intdigest(locale.encode(), SPARK_SEED) for locale in set(locales)}
    hashes = [xxh64_intdigest(item_id.encode(), seeds[locale]) for locale, item_id in zip(locales, item_ids, strict=True)]
    return pa.array(hashes, pa.uint64()).view(pa.int64())


def hash_key() -> Column:
    """The same of a frame's key columns."""
    return F.xxhash64(*LISTING_KEY)


def find_repeated_keys(hashes: DataFrame, entries: int) -> DataFrame | None:
    """Returns the hashes of keys that occur more than once (plus rare hash collisions), given one hash per entry.

    None where every key occurs once.
    """
    spark = hashes.sparkSession
    if entries <= FEW_KEYS:
        (found,) = _find_repeated(iter(hashes.toArrow().to_batches()))
        return spark.createDataFrame(pa.Table.from_batches([found])) if found.num_rows else None
    partitions = max(spark.sparkContext.defaultParallelism, entries // KEYS_PER_PARTITION)
    repeated = hashes.repartition(partitions, "key_hash").mapInArrow(_find_repeated, "key_hash long")
    return None if repeated.isEmpty() else repeated


def _find_repeated(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """A sort of numbers takes a fraction of the time that a hash map of as many takes."""
    hashes = np.sort(np.concatenate([np.empty(0, np.int64), *(batch.column(0).to_numpy() for batch in batches)]))
    repeated = np.unique(hashes[1:][hashes[1:] == hashes[:-1]])
    yield pa.RecordBatch.from_pydict({"key_hash": repeated})
