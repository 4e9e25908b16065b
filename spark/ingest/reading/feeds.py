"""All lines of a feed, ready to be read: JSON Lines by the tasks themselves, CSV and Parquet by Spark."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from schemas.reject import UNREADABLE
from spark.ingest.reading.csv_files import read_csv_files
from spark.ingest.reading.json_files import Split, plan_tasks
from spark.ingest.reading.lines import CSV
from spark.ingest.reading.parquet_files import read_parquet_files
from spark.ingest.reading.sources import FeedFiles


@dataclass(frozen=True)
class Feed:
    """Records to be judged. ``lines`` as reading.spark_lines says."""

    spark: SparkSession
    json_tasks: Sequence[Sequence[Split]] = ()
    lines: DataFrame | None = None


def read_feed(spark: SparkSession, files: FeedFiles) -> Feed:
    """All records of all files. Raises BadDataError naming a file that cannot be read."""
    frames = read_csv_files(spark, files.csv) + read_parquet_files(spark, files.parquet)
    tasks = plan_tasks(files.json, spark.sparkContext.defaultParallelism)
    return Feed(spark, tasks, reduce(DataFrame.unionByName, frames) if frames else None)


def read_rejects(rejects: DataFrame) -> Feed:
    """Records that were kept raw. CSV rows that could not be read have no cells, so they stay damaged."""
    found = F.get(F.array_intersect("reasons", F.lit(list(UNREADABLE))), F.lit(0))
    lines = rejects.select(
        F.col("raw").alias("value"),
        "raw_format",
        F.when(F.col("raw_format") == CSV, found).alias("damage"),
        "source_file",
        F.lit(None).cast("long").alias("place"),
        F.col("rejected_at").alias("received_at"),
    )
    return Feed(rejects.sparkSession, lines=lines)
