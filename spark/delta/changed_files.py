"""Finds the data files by which two versions of a Delta table differ, and reads rows of such files.

The log names the files of each version, so rows of the files that both have need not be looked at.
"""

from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from urllib.parse import unquote

import pyarrow as pa
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError, TableNotFoundError
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import StructType

from m5model.files import storage
from m5model.files.delta import open_delta

# Look-ups wait for the storage, not for a core.
LOOK_UPS_AT_ONCE = 16
# A file of such a table is not all of its rows, or names its columns otherwise.
UNREADABLE_FEATURES = {"deletionVectors", "columnMapping"}


@dataclass(frozen=True, kw_only=True)
class ChangedFiles:
    """Holds paths relative to the table."""

    removed: tuple[str, ...]  # only in the older version
    added: tuple[str, ...]  # only in the newer one


def find_changed_files(path: str, older: int, newer: int) -> ChangedFiles | None:
    """The files that only one of the versions has; None where rows of the older one cannot be read any more."""
    if older == newer:
        return ChangedFiles(removed=(), added=())
    tables = [_open_version(path, version) for version in (older, newer)]
    if any(table is None or not _holds_whole_rows(table) for table in tables):
        return None
    before, after = ({*file_sizes(table)} for table in tables if table is not None)
    changed = ChangedFiles(removed=tuple(sorted(before - after)), added=tuple(sorted(after - before)))
    return changed if _all_exist(path, changed.removed) else None


def can_be_read(path: str, version: int) -> bool:
    """Whether the log knows the version and no file of it was deleted."""
    table = _open_version(path, version)
    return table is not None and _holds_whole_rows(table) and _all_exist(path, file_sizes(table))


def read_files(spark: SparkSession, path: str, files: Sequence[str], schema: StructType) -> DataFrame:
    """The columns of ``schema``, of rows of data files of the table; a column that a file lacks is null."""
    if not files:
        return spark.createDataFrame([], schema)
    reader = spark.read.schema(schema).option("basePath", path)
    return reader.parquet(*(f"{path}/{file}" for file in files))


def _open_version(path: str, version: int) -> DeltaTable | None:
    try:
        return open_delta(path, version)
    except (TableNotFoundError, DeltaError):  # there is none, or its log begins later
        return None


def _holds_whole_rows(table: DeltaTable) -> bool:
    protocol = table.protocol()
    features = {*(protocol.reader_features or ()), *(protocol.writer_features or ())}
    configuration = table.metadata().configuration
    has_vectors = configuration.get("delta.enableDeletionVectors") == "true"
    has_mapping = configuration.get("delta.columnMapping.mode", "none") != "none"
    return not (has_vectors or has_mapping) and not features & UNREADABLE_FEATURES


def file_sizes(table: DeltaTable) -> dict[str, int]:
    """Bytes of every file of the table, by its path relative to the table."""
    actions = pa.table(table.get_add_actions())
    paths = map(unquote, actions.column("path").to_pylist())
    return dict(zip(paths, actions.column("size_bytes").to_pylist(), strict=True))


def _all_exist(path: str, files: Collection[str]) -> bool:
    with ThreadPoolExecutor(LOOK_UPS_AT_ONCE) as pool:
        return all(pool.map(lambda file: storage.exists(f"{path}/{file}"), files))
