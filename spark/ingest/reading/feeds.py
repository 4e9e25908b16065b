"""All records of a feed, ready to be read: files by the tasks themselves, kept rejects by Spark.

A line that Spark reads has
    value         binary      one JSON object as UTF-8, or what could not be read
    raw_format    string      json, csv or xml
    damage        string      a name from schemas.reject.UNREADABLE where the record could not be read, else null
    source_file   string      URI
    place         long        null
    received_at   timestamp   when the record was rejected
"""

from collections.abc import Sequence
from dataclasses import dataclass

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from m5model.feeds.mapping import FeedMapping
from m5model.feeds.sources import FeedFiles
from m5model.feeds.splits import Split, plan_tasks
from schemas.reject import UNREADABLE
from spark.ingest.reading.lines import JSON


@dataclass(frozen=True)
class Feed:
    """Records to be judged."""

    spark: SparkSession
    tasks: Sequence[Sequence[Split]] = ()
    mapping: FeedMapping | None = None  # of the records of the tasks
    lines: DataFrame | None = None
    size: int = 0  # bytes of the files as they are stored


def read_feed(spark: SparkSession, files: FeedFiles, mapping: FeedMapping | None = None) -> Feed:
    """All records of all files. Raises BadDataError naming a file that cannot be read."""
    size = sum(file.size for file in files.files)
    return Feed(spark, plan_tasks(files.files, spark.sparkContext.defaultParallelism), mapping, size=size)


def read_rejects(rejects: DataFrame) -> Feed:
    """Records that were kept raw. CSV rows and items of XML that could not be read have no fields, so they stay damaged."""
    found = F.get(F.array_intersect("reasons", F.lit(list(UNREADABLE))), F.lit(0))
    lines = rejects.select(
        F.col("raw").alias("value"),
        "raw_format",
        F.when(F.col("raw_format") != JSON, found).alias("damage"),
        "source_file",
        F.lit(None).cast("long").alias("place"),
        F.col("rejected_at").alias("received_at"),
    )
    return Feed(rejects.sparkSession, lines=lines)
