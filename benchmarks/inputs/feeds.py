"""A feed of any size as JSON Lines: the real listings (the sample catalogue's where there are none) and copies of them."""

from pathlib import Path

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from inputs.catalogue import listing_rows
from schemas.listing import FEED_COLUMNS


def write_feed(spark: SparkSession, folder: Path, rows: int, *, declared: bool) -> str:
    """Files of 100,000 records. Without ``declared``, no record says its language."""
    columns = [column.name for column in FEED_COLUMNS if declared or column.name != "language"]
    path = str(folder / f"{rows}-{'declared' if declared else 'undeclared'}")
    records = listing_rows(spark, rows).select(F.to_json(F.struct(*columns)).alias("value"))
    records.repartition(max(2, rows // 100_000)).write.text(path)
    for file in Path(path).glob("*.txt"):
        file.rename(file.with_suffix(".jsonl"))
    return path
