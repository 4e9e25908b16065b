"""The files of a feed, ready to be read: JSON by the tasks themselves, CSV and Parquet by Spark, as lines in one frame.

A line has
    value         binary   one JSON object as UTF-8; of CSV the object of the row's cells, of Parquet that of its
                           columns, without binary and nested ones that are no fields
    raw_format    string   json or csv
    damage        string   a name from schemas.reject.UNREADABLE where reading the file found the record damaged, else null
    source_file   string
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import (
    ArrayType,
    AtomicType,
    BinaryType,
    BooleanType,
    DataType,
    DecimalType,
    IntegralType,
    MapType,
    StringType,
    StructField,
    StructType,
    TimestampType,
)

from m5model.files import storage
from schemas.listing import FEED_FIELDS
from schemas.reject import UNREADABLE
from spark.ingest.reading.json_files import Split, plan_tasks
from spark.ingest.reading.records import CSV, JSON
from spark.ingest.reading.sources import FeedFiles

# Named so that no column of a feed is called the same.
CORRUPT, SOURCE = "_corrupt", "_source_file"
RESERVED = (CORRUPT, SOURCE)


@dataclass(frozen=True)
class Feed:
    """Records to be judged."""

    spark: SparkSession
    json_tasks: Sequence[Sequence[Split]] = ()
    lines: DataFrame | None = None


def read_feed(spark: SparkSession, files: FeedFiles) -> Feed:
    """All records of all files."""
    frames = [_lines_of_csv(_read_csv(spark, group)) for group in _group_by_header(files.csv)]
    frames += [_lines_of_parquet(_read_parquet(spark, group)) for group in _group_by_schema(spark, files.parquet)]
    tasks = plan_tasks(files.json, spark.sparkContext.defaultParallelism)
    return Feed(spark, tasks, reduce(DataFrame.unionByName, frames) if frames else None)


def read_rejects(rejects: DataFrame) -> Feed:
    """Records that were kept raw. CSV rows that could not be read have no cells, so they stay damaged."""
    found = F.get(F.array_intersect("reasons", F.lit(list(UNREADABLE))), F.lit(0))
    damage = F.when(F.col("raw_format") == CSV, found).alias("damage")
    lines = rejects.select(F.col("raw").alias("value"), "raw_format", damage, "source_file")
    return Feed(rejects.sparkSession, lines=lines)


def _lines_of_csv(rows: DataFrame) -> DataFrame:
    """Rows of Latin-1 text, which keeps every byte. A row that does not fit its header is kept as it stands."""
    cells = {name: F.encode(F.col(f"`{name}`"), "ISO-8859-1").cast("string") for name in rows.columns if name not in RESERVED}
    row = F.to_json(F.struct(*[F.make_valid_utf8(text).alias(name) for name, text in cells.items()]))
    is_invalid = reduce(Column.__or__, [F.coalesce(~F.is_valid_utf8(text), F.lit(False)) for text in cells.values()])
    value = F.coalesce(F.encode(F.col(CORRUPT), "ISO-8859-1"), row.cast("binary"))
    damage = F.when(F.col(CORRUPT).isNotNull(), "invalid_record").when(is_invalid, "invalid_utf8")
    return _lines(rows, value, CSV, damage)


def _lines_of_parquet(rows: DataFrame) -> DataFrame:
    fields = [field for field in rows.schema.fields if field.name != SOURCE and not _is_left_out(field)]
    row = F.to_json(F.struct(*[_json_cell(field.name, field.dataType).alias(field.name) for field in fields]))
    return _lines(rows, row.cast("binary"), JSON, F.lit(None))


def _json_cell(name: str, kind: DataType) -> Column:
    """A column as JSON tells it. What JSON knows as text only, though the column is another type, becomes an object."""
    cell = F.col(f"`{name}`")
    if isinstance(kind, TimestampType) and name == "updated_at":
        return cell.cast("string")  # JSON's own has milliseconds only
    if isinstance(kind, MapType) and isinstance(kind.keyType, StringType) and isinstance(kind.valueType, AtomicType):
        return cell.cast("map<string,string>")
    if _is_known_to_json(kind):
        return cell
    text = F.base64(cell) if isinstance(kind, BinaryType) else cell.cast("string")
    return F.when(cell.isNotNull(), F.struct(text.alias(kind.simpleString())))


def _is_known_to_json(kind: DataType) -> bool:
    """JSON tells its values from text. A float's may be infinite, which JSON can only say as text."""
    if isinstance(kind, ArrayType):
        return _is_known_to_json(kind.elementType)
    if isinstance(kind, StructType):
        return all(_is_known_to_json(field.dataType) for field in kind.fields)
    return isinstance(kind, (StringType, BooleanType, IntegralType, DecimalType))


def _is_left_out(field: StructField) -> bool:
    """Images and vectors that M5 ignores: they may be large, and no rule reads them."""
    return field.name not in FEED_FIELDS and isinstance(field.dataType, (BinaryType, ArrayType, MapType, StructType))


def _lines(df: DataFrame, value: Column, raw_format: str, damage: Column) -> DataFrame:
    return df.select(
        value.alias("value"),
        F.lit(raw_format).alias("raw_format"),
        damage.cast("string").alias("damage"),
        F.col(SOURCE).alias("source_file"),
    )


def _read_csv(spark: SparkSession, group: tuple[tuple[str, ...], list[str]]) -> DataFrame:
    header, files = group
    schema = StructType([StructField(name, StringType()) for name in (*header, CORRUPT)])
    reader = spark.read.schema(schema).option("header", "true").option("multiLine", "true").option("escape", '"')
    reader = reader.option("encoding", "ISO-8859-1").option("mode", "PERMISSIVE").option("columnNameOfCorruptRecord", CORRUPT)
    return reader.csv(files).withColumn(SOURCE, F.input_file_name())


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
    return spark.read.parquet(*files).withColumn(SOURCE, F.input_file_name())


def _group_by_schema(spark: SparkSession, files: list[str]) -> list[list[str]]:
    """Parquet files with the same columns and types are read together."""
    groups: dict[str, list[str]] = {}
    for file in files:
        groups.setdefault(spark.read.parquet(file).schema.json(), []).append(file)
    return list(groups.values())
