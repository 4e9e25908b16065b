"""Content hash and text hash of listings. What they are for: design of the three hashes, schemas.listing."""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from schemas.listing import FEED_COLUMNS


def hash_listings(df: DataFrame) -> DataFrame:
    """Adds ``content_hash`` and ``text_hash``. Maps must be in the order of their names already."""
    content = F.to_json(F.struct(*[column.name for column in FEED_COLUMNS]))
    return df.withColumn("content_hash", F.sha2(content, 256)).withColumn("text_hash", F.sha2(normalised_text(), 256))


def normalised_text() -> Column:
    """What duplicates are found by: title, bullets and description, case-folded."""
    return F.lower(F.concat_ws("\n", "title", "bullets", "description"))
