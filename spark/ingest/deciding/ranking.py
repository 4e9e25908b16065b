"""The order of records of one key: which of them wins, within a feed and against the tables.

The latest record wins. Asked one after the other:

1. Time: ``updated_at``. A record without one is as of the moment when it is received: the latest there is in the run that
   receives it, and later as old as that run (``ingested_at`` in ``listings``, ``deleted_at`` of a tombstone; a reject that is
   replayed was received when it was rejected).
2. At the same ``updated_at`` a deletion wins over a record, and the feed over the table.
3. File: the one whose name sorts last, for feeds are usually named by date.
4. Place in the file: the last line or row.

Rejects of one file that are replayed have no place: a deletion wins, else the content hash decides, which is arbitrary but
always the same.

Works on entries: a record's key, time, origin, content hash and ``is_tombstone``, without its texts.
"""

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from schemas.listing import LISTING_KEY
from spark.ingest.staging.keys import hash_key


def rank_entries(entries: DataFrame, repeated: DataFrame) -> DataFrame:
    """Adds ``rank`` (1 for the entry that wins within the feed) and ``is_copied`` (several entries have the same content).

    ``repeated`` as find_repeated_keys made it: only those entries are sorted.
    """
    latest = Window.partitionBy(*LISTING_KEY).orderBy(
        _entry_time().desc_nulls_first(),
        (F.col("is_tombstone") & F.col("updated_at").isNotNull()).desc(),
        F.col("source_file").desc(),
        F.col("place").desc_nulls_last(),
        F.col("is_tombstone").desc(),
        F.col("content_hash").desc(),
    )
    keyed = entries.withColumn("key_hash", hash_key())
    single = mark_single(keyed.join(repeated, "key_hash", "left_anti"))
    several = keyed.join(repeated, "key_hash", "left_semi").withColumn("rank", F.row_number().over(latest))
    copies = F.count(F.lit(1)).over(Window.partitionBy(*LISTING_KEY, "content_hash"))
    return single.unionByName(several.withColumn("is_copied", copies > 1)).drop("key_hash")


def mark_single(entries: DataFrame) -> DataFrame:
    """What ``rank_entries`` adds, where no key occurs more than once."""
    return entries.withColumn("rank", F.lit(1)).withColumn("is_copied", F.lit(False))


def decide_outcomes(ranked: DataFrame, listings: DataFrame, tombstones: DataFrame | None) -> DataFrame:
    """Adds ``outcome``: superseded (by a later record or deletion), unchanged, inserted, updated or deleted.

    Also ``stored_at``, the time of the listing in the table, and ``is_new_tombstone``: a deletion that the table of tombstones
    does not know yet.
    """
    stored = listings.select(*LISTING_KEY, F.col("content_hash").alias("stored_hash"), _stored_time().alias("stored_at"))
    joined = ranked.join(stored, list(LISTING_KEY), "left")
    if tombstones is None:
        joined = joined.withColumn("deleted_at", F.lit(None).cast("timestamp")).withColumn(
            "known_as_of_now", F.lit(None).cast("boolean")
        )
    else:
        joined = joined.join(_known(tombstones), list(LISTING_KEY), "left")
    joined = joined.withColumn("outcome", _outcome()).withColumn("is_new_tombstone", _is_new_tombstone())
    return joined.drop("stored_hash", "deleted_at", "known_as_of_now")


def find_absent(listings: DataFrame, keys: DataFrame) -> DataFrame:
    """Listings that a complete feed lacks: key and ``stored_at``. ``keys`` are those of all its records, rejects among them."""
    stored = listings.select(*LISTING_KEY, _stored_time().alias("stored_at"))
    return stored.join(keys.select(*LISTING_KEY), list(LISTING_KEY), "left_anti")


def _entry_time() -> Column:
    """Null where the record is as of now."""
    return F.coalesce("updated_at", "received_at")


def _stored_time() -> Column:
    return F.coalesce("updated_at", "ingested_at")


def _outcome() -> Column:
    is_new = F.col("stored_hash").isNull()
    is_older = _entry_time() < F.col("stored_at")
    return (
        F.when(F.col("rank") > 1, "superseded")
        .when(F.col("is_tombstone") & is_new, "unchanged")
        .when(F.col("is_tombstone"), F.when(is_older, "superseded").otherwise("deleted"))
        .when(is_new & (_entry_time() <= F.col("deleted_at")), "superseded")
        .when(is_new, "inserted")
        .when(F.col("stored_hash") == F.col("content_hash"), "unchanged")
        .when(is_older, "superseded")
        .otherwise("updated")
    )


def _known(tombstones: DataFrame) -> DataFrame:
    """``known_as_of_now`` is null for a key without a tombstone, and true where that had no time of its own."""
    has_recorded_at = "recorded_at" in tombstones.columns  # tables of older versions have not
    as_of_now = F.col("deleted_at") >= F.col("recorded_at") if has_recorded_at else F.lit(False)
    return tombstones.select(*LISTING_KEY, "deleted_at", F.coalesce(as_of_now, F.lit(False)).alias("known_as_of_now"))


def _is_new_tombstone() -> Column:
    """A tombstone without a time that deletes nothing is new once only: the same feed again must change nothing."""
    is_later = _entry_time().isNotNull() & (F.col("deleted_at").isNull() | (_entry_time() > F.col("deleted_at")))
    is_as_of_now = _entry_time().isNull() & ((F.col("outcome") == "deleted") | ~F.col("known_as_of_now"))
    is_new = F.col("known_as_of_now").isNull() | is_later | F.coalesce(is_as_of_now, F.lit(False))
    return F.col("is_tombstone") & F.col("outcome").isin("deleted", "unchanged") & is_new
