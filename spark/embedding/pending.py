"""What has to be embedded: listings without a vector of their present text in this space. First run, resume, retry and
refresh are this one question."""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from m5model.runtime.rendering import Rendering
from schemas.listing import LISTING_KEY
from spark.rendering import render_listings


def key_bucket(buckets: int) -> Column:
    """The hash bucket of a listing's key, 0 to buckets - 1: the partition of its vector."""
    return F.pmod(F.xxhash64(*LISTING_KEY), F.lit(buckets)).cast("int")


def find_pending(listings: DataFrame, embeddings: DataFrame, *, rendering: Rendering, space_id: str, buckets: int) -> DataFrame:
    """Rows of (locale, item_id, text, fingerprint, bucket) that have no vector of that fingerprint in the space."""
    wanted = render_listings(listings, rendering).select(*LISTING_KEY, "text", "fingerprint")
    present = embeddings.where(F.col("space_id") == space_id).select(*LISTING_KEY, "fingerprint")
    missing = wanted.join(present, [*LISTING_KEY, "fingerprint"], "left_anti")
    return missing.withColumn("bucket", key_bucket(buckets))


def find_orphans(listings: DataFrame, embeddings: DataFrame, *, space_id: str) -> DataFrame:
    """Keys of vectors in the space whose listing is gone, with their bucket."""
    stored = embeddings.where(F.col("space_id") == space_id).select(*LISTING_KEY, "space_id", "bucket")
    return stored.join(listings.select(*LISTING_KEY), list(LISTING_KEY), "left_anti")
