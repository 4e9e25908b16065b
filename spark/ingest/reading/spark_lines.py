"""Lines that Spark reads (CSV, Parquet), as one kind of frame.

A line has
    value         binary      one JSON object as UTF-8; of CSV the object of the row's cells, of Parquet that of its columns,
                              without binary and nested ones that are no fields
    raw_format    string      json or csv
    damage        string      a name from schemas.reject.UNREADABLE where reading the file found the record damaged, else null
    source_file   string      URI
    place         long        grows from row to row of a file
    received_at   timestamp   null; in replay, when the record was rejected
"""

import re
from collections.abc import Sequence

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from schemas.errors import BadDataError, ConfigurationError, M5Error

SOURCE, PLACE = "_source_file", "_place"  # no column of a feed is called so

_GLOB = re.compile(r"([\\*?\[\]{}])")


def literal_paths(files: Sequence[str]) -> list[str]:
    """Paths that Spark, which takes them for globs, reads as they are."""
    return [_GLOB.sub(r"\\\1", file) for file in files]


def make_lines(rows: DataFrame, value: Column, raw_format: str, damage: Column) -> DataFrame:
    """Lines of rows that have the columns SOURCE and PLACE."""
    return rows.select(
        value.alias("value"),
        F.lit(raw_format).alias("raw_format"),
        damage.cast("string").alias("damage"),
        F.col(SOURCE).alias("source_file"),
        F.col(PLACE).alias("place"),
        F.lit(None).cast("timestamp").alias("received_at"),
    )


def refuse_unread(rows: DataFrame, files: Sequence[str]) -> None:
    """Raises ConfigurationError where Spark does not read as many files: it leaves out names that begin with _ or . ."""
    if len(rows.inputFiles()) != len(files):
        raise ConfigurationError(
            f"Spark reads only {len(rows.inputFiles())} of the {len(files)} files {', '.join(files[:3])} …",
            next_step="rename those whose names begin with _ or .",
        )


def cannot_read(file: str, error: Exception) -> M5Error:
    """The error for a file that may not be read, or is damaged."""
    first = next(iter(str(error).splitlines()), type(error).__name__)
    if isinstance(error, PermissionError):
        return ConfigurationError(f"{file} may not be read: {first}", next_step="let this user read the feed")
    return BadDataError(f"{file} cannot be read: {first}", next_step="have the file written anew, or leave it out of --feed")
