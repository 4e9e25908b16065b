"""Finds what has to be embedded: listings without a vector of their present text in this space. A first run, a resumed one, a
retry and a refresh all ask this one question."""

from collections.abc import Mapping
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from m5model.runtime.rendering import Rendering
from schemas.listing import LISTING_KEY
from spark.rendering import render_listings


@dataclass(frozen=True, kw_only=True)
class Changes:
    """How listings and vectors differ, by bucket of the key; buckets without a difference are left out."""

    listings: int
    pending: Mapping[int, int]  # listings without a vector of their present text
    orphans: Mapping[int, int]  # vectors whose listing is gone

    @property
    def pending_rows(self) -> int:
        return sum(self.pending.values())

    @property
    def orphan_rows(self) -> int:
        return sum(self.orphans.values())


def key_bucket(buckets: int) -> Column:
    """The hash bucket of a listing's key, 0 to buckets - 1: the partition of its vector."""
    return F.pmod(F.xxhash64(*LISTING_KEY), F.lit(buckets)).cast("int")


def count_changes(listings: DataFrame, embeddings: DataFrame, *, rendering: Rendering, buckets: int) -> Changes:
    """Count by bucket, in one Spark job, what ``find_pending`` and ``find_orphans`` would find."""
    wanted = render_listings(listings, rendering).select(*LISTING_KEY, F.col("fingerprint").alias("wanted"))
    present = embeddings.select(*LISTING_KEY, F.col("fingerprint").alias("present"))
    is_listed = F.col("wanted").isNotNull()
    counted = sorted(
        wanted.join(present, list(LISTING_KEY), "full_outer")
        .groupBy(key_bucket(buckets).alias("bucket"))
        .agg(
            F.count_if(is_listed).alias("listings"),
            F.count_if(is_listed & ~F.col("wanted").eqNullSafe(F.col("present"))).alias("pending"),
            F.count_if(~is_listed).alias("orphans"),
        )
        .collect()
    )
    return Changes(
        listings=sum(row["listings"] for row in counted),
        pending={row["bucket"]: row["pending"] for row in counted if row["pending"]},
        orphans={row["bucket"]: row["orphans"] for row in counted if row["orphans"]},
    )


def find_pending(listings: DataFrame, embeddings: DataFrame, *, rendering: Rendering, buckets: int) -> DataFrame:
    """Rows of (locale, item_id, text, fingerprint, bucket) that have no vector of that fingerprint in ``embeddings``."""
    wanted = render_listings(listings, rendering).select(*LISTING_KEY, "text", "fingerprint")
    present = embeddings.select(*LISTING_KEY, "fingerprint")
    missing = wanted.join(present, [*LISTING_KEY, "fingerprint"], "left_anti")
    return missing.withColumn("bucket", key_bucket(buckets))


def find_orphans(listings: DataFrame, embeddings: DataFrame) -> DataFrame:
    """Keys (locale, item_id, space_id) of vectors whose listing is gone."""
    stored = embeddings.select(*LISTING_KEY, "space_id")
    return stored.join(listings.select(*LISTING_KEY), list(LISTING_KEY), "left_anti")
