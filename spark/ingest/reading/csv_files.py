"""Files of CSV become lines. Spark reads them as Latin-1, which keeps every byte."""

from functools import reduce

import pyarrow as pa
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StringType, StructField, StructType

from m5model.files import storage
from schemas.listing import FEED_FIELDS
from spark.ingest.reading.lines import CSV
from spark.ingest.reading.spark_lines import PLACE, SOURCE, cannot_read, literal_paths, make_lines, refuse_unread

CORRUPT = "_corrupt"
RESERVED = (CORRUPT, SOURCE, PLACE)
HEADER_BYTES = 1 << 16  # enough for any header


def read_csv_files(spark: SparkSession, files: list[str]) -> list[DataFrame]:
    """Lines of all rows, a frame for each header that the files have."""
    return [_make_lines(_read_rows(spark, header, group)) for header, group in _group_by_header(files).items()]


def _make_lines(rows: DataFrame) -> DataFrame:
    """A row that does not fit its header is kept as it is."""
    cells = {name: F.encode(F.col(f"`{name}`"), "ISO-8859-1").cast("string") for name in rows.columns if name not in RESERVED}
    row = F.to_json(F.struct(*[F.make_valid_utf8(text).alias(name) for name, text in cells.items()]))
    is_invalid = reduce(Column.__or__, [F.coalesce(~F.is_valid_utf8(text), F.lit(False)) for text in cells.values()])
    value = F.coalesce(F.encode(F.col(CORRUPT), "ISO-8859-1"), row.cast("binary"))
    damage = F.when(F.col(CORRUPT).isNotNull(), "invalid_record").when(is_invalid, "invalid_utf8")
    return make_lines(rows, value, CSV, damage)


def _read_rows(spark: SparkSession, header: tuple[str, ...], files: list[str]) -> DataFrame:
    schema = StructType([StructField(name, StringType()) for name in (*header, CORRUPT)])
    reader = spark.read.schema(schema).option("header", "true").option("multiLine", "true").option("escape", '"')
    reader = reader.option("encoding", "ISO-8859-1").option("mode", "PERMISSIVE").option("columnNameOfCorruptRecord", CORRUPT)
    rows = reader.csv(literal_paths(files))
    refuse_unread(rows, files)
    # A file is read by one task from its first row to its last.
    return rows.withColumn(SOURCE, F.input_file_name()).withColumn(PLACE, F.monotonically_increasing_id())


def _group_by_header(files: list[str]) -> dict[tuple[str, ...], list[str]]:
    """Files with the same header are read together. A file without any line has no records."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for file in files:
        header = _read_header(file)
        if header:
            groups.setdefault(_column_names([name.strip().strip('"') for name in header.split(",")]), []).append(file)
    return groups


def _read_header(file: str) -> str:
    """The first line that is not blank, as Spark takes it; empty where there is none."""
    filesystem, inner = storage.open_filesystem(file)
    try:
        with filesystem.open_input_stream(inner, compression="detect") as stream:
            head = bytes(stream.read(HEADER_BYTES)).decode("utf-8-sig", errors="replace")
    except (pa.ArrowException, OSError) as error:
        raise cannot_read(file, error) from error
    return head.lstrip().partition("\n")[0].strip()


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
