"""A feed of any size and form: the real listings (the sample catalogue's where there are none) and copies of them."""

from pathlib import Path

from pyspark.sql import Column, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, MapType, StructType

from inputs.catalogue import listing_rows
from schemas.listing import FEED_COLUMNS, LISTINGS
from spark.delta.tables import spark_schema


def write_feed(spark: SparkSession, folder: Path, rows: int, *, declared: bool, form: str = "jsonl") -> str:
    """Files of 100,000 records as jsonl, csv or parquet. Without ``declared``, no record says its language."""
    columns = [column.name for column in FEED_COLUMNS if declared or column.name != "language"]
    path = str(folder / f"{rows}-{'declared' if declared else 'undeclared'}-{form}")
    records = listing_rows(spark, rows)
    parts = max(2, rows // 100_000)
    if form == "jsonl":
        records.select(F.to_json(F.struct(*columns)).alias("value")).repartition(parts).write.text(path)
    elif form == "csv":
        cells = [_as_cell(name) for name in columns]
        records.select(*cells).repartition(parts).write.option("header", "true").option("escape", '"').csv(path)
    else:
        records.select(*columns).repartition(parts).write.parquet(path)
    for file in Path(path).glob("part-*"):
        file.rename(file.with_suffix(f".{form}"))
    return path


def write_reordered(spark: SparkSession, feed: str) -> str:
    """The records of a feed of jsonl in other files and another order, and their fields in another: no file has the bytes of
    one of the feed's."""
    path = f"{feed}-reordered"
    schema = spark_schema(LISTINGS)
    fields = [schema[column.name] for column in reversed(FEED_COLUMNS)]
    records = spark.read.schema(StructType(fields)).json(feed)
    lines = records.select(F.to_json(F.struct(*records.columns)).alias("value"))
    lines.repartitionByRange(len(list(Path(feed).glob("part-*"))) + 1, F.xxhash64("value")).sortWithinPartitions(
        F.xxhash64("value")
    ).write.text(path)
    for file in Path(path).glob("part-*"):
        file.rename(file.with_suffix(".jsonl"))
    return path


def _as_cell(name: str) -> Column:
    """Lists and maps are JSON in a cell."""
    is_nested = isinstance(spark_schema(LISTINGS)[name].dataType, ArrayType | MapType)
    return F.to_json(name).alias(name) if is_nested else F.col(name)
