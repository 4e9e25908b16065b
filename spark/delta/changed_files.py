"""Finds the data files by which two versions of a Delta table differ.

The log names the files of each version, so rows of the files that both have need not be looked at.
"""

from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from urllib.parse import unquote

import pyarrow as pa
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError, TableNotFoundError

from m5model.files import storage
from m5model.files.delta import open_delta
from spark.delta.data_files import DataFile

# Look-ups wait for the storage, not for a core.
LOOK_UPS_AT_ONCE = 16
# A file of such a table is not all of its rows, or names its columns otherwise.
UNREADABLE_FEATURES = {"deletionVectors", "columnMapping"}


@dataclass(frozen=True, kw_only=True)
class TwoVersions:
    """Holds the data files of a table at an older and at a newer version."""

    path: str
    older: tuple[DataFile, ...]
    newer: tuple[DataFile, ...]

    @property
    def removed(self) -> list[DataFile]:
        """Files that only the older version has."""
        return _without(self.older, self.newer)

    @property
    def added(self) -> list[DataFile]:
        """Files that only the newer version has."""
        return _without(self.newer, self.older)


def compare_versions(path: str, older: int, newer: int) -> TwoVersions | None:
    """The files of both versions; None where rows of the older one cannot be read any more."""
    tables = [_open_version(path, version) for version in (older, newer)]
    if any(table is None or not _holds_whole_rows(table) for table in tables):
        return None
    before, after = (tuple(list_data_files(table)) for table in tables if table is not None)
    found = TwoVersions(path=path, older=before, newer=after)
    return found if _all_exist(path, [file.path for file in found.removed]) else None


def _without(files: Sequence[DataFile], others: Sequence[DataFile]) -> list[DataFile]:
    names = {file.path for file in others}
    return sorted((file for file in files if file.path not in names), key=lambda file: file.path)


def can_be_read(path: str, version: int) -> bool:
    """Whether the log knows the version and no file of it was deleted."""
    table = _open_version(path, version)
    return table is not None and _holds_whole_rows(table) and _all_exist(path, [file.path for file in list_data_files(table)])


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


def list_data_files(table: DeltaTable) -> list[DataFile]:
    """The files of the table at the version that it was opened at."""
    actions = pa.table(table.get_add_actions())
    partitions = actions["partition"].to_pylist() if "partition" in actions.column_names else [{}] * actions.num_rows
    rows = zip(*(actions[name].to_pylist() for name in ("path", "size_bytes", "modification_time")), partitions, strict=True)
    return [
        DataFile(path=unquote(path), partition=_as_text(values), size=size, modified=modified, stats={})
        for path, size, modified, values in rows
    ]


def _as_text(values: Mapping[str, object]) -> dict[str, str | None]:
    return {name: None if value is None else str(value) for name, value in values.items()}


def _all_exist(path: str, files: Collection[str]) -> bool:
    with ThreadPoolExecutor(LOOK_UPS_AT_ONCE) as pool:
        return all(pool.map(lambda file: storage.exists(f"{path}/{file}"), files))
