"""What a Delta log says of a data file. Apart from spark.delta.files, so that executors need no delta-rs."""

from collections.abc import Mapping
from dataclasses import dataclass

# How Delta, as Hive before it, names the folder of rows whose partition column is null.
NO_VALUE = "__HIVE_DEFAULT_PARTITION__"


@dataclass(frozen=True)
class DataFile:
    """A data file as a Delta log names it."""

    path: str  # relative to its table
    partition: Mapping[str, str | None]
    size: int  # bytes
    modified: int  # milliseconds since 1970
    stats: Mapping[str, object]
