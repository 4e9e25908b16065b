"""The files of a feed, read: all records of all files as candidates, in one frame."""

from functools import reduce

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StringType, StructField, StructType

from m5model import storage
from schemas.listing import FEED_FIELDS
from spark.ingest.candidates import CORRUPT, UNREADABLE, parse_csv_rejects, parse_csv_rows, parse_parquet_rows
from spark.ingest.json_lines import parse_json_lines, skim_json_lines
from spark.ingest.sources import FeedFiles

# Columns that reading adds.
RESERVED = ("file", CORRUPT, UNREADABLE)


def read_candidates(spark: SparkSession, files: FeedFiles, closely: bool) -> DataFrame:
    """All records of all files; some of them UNCLEAR unless they are looked at ``closely``."""
    frames = []
    if files.json:
        parse = parse_json_lines if closely else skim_json_lines
        frames.append(parse(spark.read.text(files.json, lineSep="\n").withColumn("file", F.input_file_name())))
    frames += [parse_csv_rows(_read_csv(spark, group)) for group in _group_by_header(files.csv)]
    frames += [parse_parquet_rows(_read_parquet(spark, group)) for group in _group_by_schema(spark, files.parquet)]
    return reduce(DataFrame.unionByName, frames)


def parse_raw_records(records: DataFrame) -> DataFrame:
    """Records that were kept raw (``raw``, ``raw_format``, ``reasons``, ``source_file``) as candidates, looked at closely."""
    read = records.withColumn("file", F.col("source_file"))
    lines = read.where("raw_format = 'json'").withColumn("value", F.col("raw").cast("string"))
    return parse_json_lines(lines).unionByName(parse_csv_rejects(read.where("raw_format = 'csv'")))


def _read_csv(spark: SparkSession, group: tuple[tuple[str, ...], list[str]]) -> DataFrame:
    header, files = group
    schema = StructType([StructField(name, StringType()) for name in (*header, CORRUPT)])
    reader = spark.read.schema(schema).option("header", "true").option("multiLine", "true").option("escape", '"')
    reader = reader.option("encoding", "ISO-8859-1").option("mode", "PERMISSIVE").option("columnNameOfCorruptRecord", CORRUPT)
    return reader.csv(files).withColumn("file", F.input_file_name())


def _group_by_header(files: list[str]) -> list[tuple[tuple[str, ...], list[str]]]:
    """CSV files with the same header are read together."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for file in files:
        header = storage.read_first_line(file).decode("utf-8-sig", errors="replace").strip()
        if header:
            groups.setdefault(_column_names([name.strip().strip('"') for name in header.split(",")]), []).append(file)
    return list(groups.items())


def _column_names(header: list[str]) -> tuple[str, ...]:
    """Each column's name in Spark. Fields keep theirs; another name gives way where it is empty, taken or no name for Spark."""
    taken = {*FEED_FIELDS, *RESERVED}
    names = []
    for position, name in enumerate(header, start=1):
        if name not in FEED_FIELDS or name in names:
            while name.lower() in taken or not name or "`" in name:
                name = f"column {position}" if not name or "`" in name else f"{name} ({position})"
        taken.add(name.lower())
        names.append(name)
    return tuple(names)


def _read_parquet(spark: SparkSession, files: list[str]) -> DataFrame:
    return spark.read.parquet(*files).withColumn("file", F.input_file_name())


def _group_by_schema(spark: SparkSession, files: list[str]) -> list[list[str]]:
    """Parquet files with the same columns and types are read together."""
    groups: dict[str, list[str]] = {}
    for file in files:
        groups.setdefault(spark.read.parquet(file).schema.json(), []).append(file)
    return list(groups.values())
