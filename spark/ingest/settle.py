"""Which record of a key stands: the newest by its own time, in the feed first, then against the table."""

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from schemas.listing import LISTING_KEY


def rank_records(df: DataFrame) -> DataFrame:
    """Adds ``rank``: 1 for the record of its key that wins within the feed.

    Newest ``updated_at`` first, records without one last; then the file whose name sorts last (feeds are usually named by
    date), then the content hash, so that the outcome is the same on any cluster.
    """
    newest = Window.partitionBy(*LISTING_KEY).orderBy(
        F.col("updated_at").desc_nulls_last(), F.col("source_file").desc(), F.col("content_hash").desc()
    )
    return df.withColumn("rank", F.row_number().over(newest))


def settle_records(ranked: DataFrame, listings: DataFrame) -> DataFrame:
    """Adds ``outcome``: superseded (in the feed, or by a newer listing), unchanged, inserted or updated."""
    stored = listings.select(
        *LISTING_KEY, F.col("content_hash").alias("stored_hash"), F.col("updated_at").alias("stored_updated_at")
    )
    outcome = (
        F.when(F.col("rank") > 1, "superseded")
        .when(F.col("stored_hash").isNull(), "inserted")
        .when(F.col("stored_hash") == F.col("content_hash"), "unchanged")
        .when(F.col("updated_at") < F.col("stored_updated_at"), "superseded")
        .otherwise("updated")
    )
    joined = ranked.join(stored, list(LISTING_KEY), "left")
    return joined.withColumn("outcome", outcome).drop("stored_hash", "stored_updated_at")
