"""A ``listings`` table of any size, made of real listings (the sample catalogue's where there are none) and copies of them."""

import tempfile
from datetime import UTC, datetime
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from inputs.listings import REAL_CATALOGUE
from schemas.listing import FEED_COLUMNS, LISTINGS
from schemas.workspace import Workspace
from spark.delta.tables import create_table, merge_rows, spark_schema

SAMPLE_ROWS = 20_000


def write_listings(spark: SparkSession, workspace: Workspace, rows: int) -> None:
    """Make the table and fill it. A copy's title ends in its number, so that its text and vector are its own."""
    path = workspace.table(LISTINGS.name)
    create_table(spark, path, LISTINGS)
    merge_rows(listing_rows(spark, rows), path, LISTINGS, update_when=None)


def listing_rows(spark: SparkSession, rows: int) -> DataFrame:
    """Rows of LISTINGS."""
    real = sorted(str(file) for file in REAL_CATALOGUE.glob("*.parquet"))
    with tempfile.TemporaryDirectory() as folder:
        base = (
            spark.read.parquet(*(real or _sample_files(Path(folder))))
            .where("title IS NOT NULL")
            .dropDuplicates(["locale", "item_id"])
        )
        base = base.orderBy(F.xxhash64("locale", "item_id")).limit(rows).localCheckpoint()
    copies = -(-rows // base.count())
    repeated = base.crossJoin(spark.range(copies).withColumnRenamed("id", "copy"))
    copied = F.col("copy") > 0
    for name in ("item_id", "title"):
        repeated = repeated.withColumn(name, F.when(copied, F.concat_ws(" ", name, "copy")).otherwise(F.col(name)))
    schema = {field.name: field.dataType for field in spark_schema(LISTINGS).fields}
    known = set(repeated.columns)
    for column in FEED_COLUMNS:
        value = F.col(column.name) if column.name in known else F.lit(None)
        repeated = repeated.withColumn(column.name, value.cast(schema[column.name]))
    row = F.to_json(F.struct(*[column.name for column in FEED_COLUMNS]))
    text = F.concat_ws("\n", "title", "bullets", "description")
    hashed = repeated.withColumn("content_hash", F.sha2(row, 256)).withColumn("text_hash", F.sha2(text, 256))
    hashed = hashed.withColumn("language_source", F.lit("declared"))
    hashed = hashed.withColumn("ingested_at", F.lit(datetime.now(UTC))).withColumn("run_id", F.lit("benchmark"))
    missing = [name for name in LISTINGS.column_names if name not in hashed.columns]
    for name in missing:
        hashed = hashed.withColumn(name, F.lit(None).cast(schema[name]))
    return hashed.limit(rows).select(*LISTINGS.column_names)


def _sample_files(folder: Path) -> list[str]:
    from jobs.make_sample_catalog import main as make_sample_catalog

    make_sample_catalog(["--out", str(folder), "--rows", str(SAMPLE_ROWS)])
    return [str(file) for file in sorted((folder / "feeds").glob("*.parquet"))]
