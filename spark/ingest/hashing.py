"""Content hash and text hash of listings. What they are for: design of the three hashes, schemas.listing."""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from schemas.listing import FEED_COLUMNS
from schemas.tables import TEXT_MAP, TEXTS

# Control characters cannot stand in repaired text, so they separate and mark what is absent without doubt.
ABSENT, ITEM_END, COLUMN_END = "\u0000", "\u001e", "\u001f"


def hash_contents(df: DataFrame) -> DataFrame:
    """Adds ``content_hash``. Maps must be in the order of their names already; ``updated_at`` must be an instant."""
    parts = [part for column in FEED_COLUMNS for part in _as_texts(column.name)]
    return df.withColumn("content_hash", F.sha2(F.concat_ws(COLUMN_END, *parts), 256))


def hash_texts(df: DataFrame) -> DataFrame:
    """Adds ``text_hash``."""
    return df.withColumn("text_hash", F.sha2(normalised_text(), 256))


def normalised_text() -> Column:
    """What duplicates are found by: title, bullets and description, case-folded."""
    return F.lower(F.concat_ws("\n", "title", "bullets", "description"))


def _as_texts(name: str) -> list[Column]:
    types = {column.name: column.type for column in FEED_COLUMNS}
    if types[name] == TEXTS:
        parts = [F.array_join(name, ITEM_END)]
    elif types[name] == TEXT_MAP:
        parts = [F.array_join(F.map_keys(name), ITEM_END), F.array_join(F.map_values(name), ITEM_END)]
    elif name == "updated_at":
        parts = [F.unix_micros(name).cast("string")]
    else:
        parts = [F.col(name)]
    return [F.coalesce(part, F.lit(ABSENT)) for part in parts]
