"""Which record of a key stands: the newest by its own time, in the feed first, then against listings and tombstones.

Works on entries: a record's key, time, file, content hash and ``is_tombstone``, without its texts.
"""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from schemas.listing import LISTING_KEY


def find_repeated_keys(hashes: DataFrame, partitions: int) -> DataFrame:
    """``key_hash`` of keys that several entries have (and of few others), out of one for each entry."""
    return hashes.repartition(partitions, "key_hash").mapInArrow(_find_repeated, "key_hash long")


def _find_repeated(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """A sort of numbers takes a fraction of what a map of as many takes."""
    hashes = np.sort(np.concatenate([np.empty(0, np.int64), *(batch.column(0).to_numpy() for batch in batches)]))
    repeated = np.unique(hashes[1:][hashes[1:] == hashes[:-1]])
    yield pa.RecordBatch.from_pydict({"key_hash": repeated})


def hash_key() -> Column:
    return F.xxhash64(*LISTING_KEY)


def rank_entries(entries: DataFrame, repeated: DataFrame) -> DataFrame:
    """Adds ``rank`` (1 for the entry of its key that wins within the feed) and ``has_twin`` (the same content stood twice).

    Newest ``updated_at`` first, entries without one last; then the file whose name sorts last (feeds are usually named by
    date), then tombstones, then the content hash, so that the outcome is the same on any cluster. ``repeated`` as
    find_repeated_keys made it: only those entries are sorted.
    """
    newest = Window.partitionBy(*LISTING_KEY).orderBy(
        F.col("updated_at").desc_nulls_last(),
        F.col("source_file").desc(),
        F.col("is_tombstone").desc(),
        F.col("content_hash").desc(),
    )
    keyed = entries.withColumn("key_hash", hash_key())
    single = keyed.join(repeated, "key_hash", "left_anti").withColumn("rank", F.lit(1)).withColumn("has_twin", F.lit(False))
    several = keyed.join(repeated, "key_hash", "left_semi").withColumn("rank", F.row_number().over(newest))
    twins = F.count(F.lit(1)).over(Window.partitionBy(*LISTING_KEY, "content_hash")) > 1
    return single.unionByName(several.withColumn("has_twin", twins)).drop("key_hash")


def settle_entries(ranked: DataFrame, listings: DataFrame, tombstones: DataFrame | None) -> DataFrame:
    """Adds ``outcome``: superseded (in the feed, by a newer listing or deletion), unchanged, inserted, updated or deleted.

    Also ``stored_updated_at``, and ``is_news``: a tombstone that the table of tombstones does not know yet. A record as old as
    its deletion stays out; a record without a time is as of now.
    """
    stored = listings.select(
        *LISTING_KEY, F.col("content_hash").alias("stored_hash"), F.col("updated_at").alias("stored_updated_at")
    )
    joined = ranked.join(stored, list(LISTING_KEY), "left")
    if tombstones is None:
        joined = joined.withColumn("deleted_at", F.lit(None).cast("timestamp")).withColumn(
            "is_known", F.lit(None).cast("boolean")
        )
    else:
        known = tombstones.select(*LISTING_KEY, "deleted_at", F.lit(True).alias("is_known"))
        joined = joined.join(known, list(LISTING_KEY), "left")
    joined = joined.withColumn("outcome", _outcome())
    is_newer = F.col("updated_at") > F.coalesce("deleted_at", F.timestamp_seconds(F.lit(0)))
    is_news = F.col("is_tombstone") & F.col("outcome").isin("deleted", "unchanged") & (F.col("is_known").isNull() | is_newer)
    return joined.withColumn("is_news", F.coalesce(is_news, F.lit(False))).drop("stored_hash", "deleted_at", "is_known")


def find_absent(listings: DataFrame, entries: DataFrame) -> DataFrame:
    """Listings that a complete feed lacks: key and ``updated_at``. ``entries`` are all records whose key could be read."""
    return listings.select(*LISTING_KEY, "updated_at").join(entries.select(*LISTING_KEY), list(LISTING_KEY), "left_anti")


def _outcome() -> Column:
    is_new = F.col("stored_hash").isNull()
    older = F.col("updated_at") < F.col("stored_updated_at")
    return (
        F.when(F.col("rank") > 1, "superseded")
        .when(F.col("is_tombstone") & is_new, "unchanged")
        .when(F.col("is_tombstone"), F.when(older, "superseded").otherwise("deleted"))
        .when(is_new & (F.col("updated_at") <= F.col("deleted_at")), "superseded")
        .when(is_new, "inserted")
        .when(F.col("stored_hash") == F.col("content_hash"), "unchanged")
        .when(older, "superseded")
        .otherwise("updated")
    )
