"""Tables of Delta that are given as feeds: their live files, with the values of their partitions, or what changed in them.

A table whose files alone are not its rows (deletion vectors, renamed columns) is refused with advice.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pyarrow as pa
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from m5model.feeds.mapping import FeedMapping
from m5model.feeds.sources import JSON, PARQUET, FeedFile, FeedFiles
from m5model.files import storage
from m5model.files.delta import open_delta
from schemas.errors import BadDataError, ConfigurationError
from schemas.listing import FEED_FIELDS
from schemas.workspace import Workspace
from spark.ingest.reading.delta_changes import read_net_changes
from spark.ingest.reading.feed_positions import FeedPosition, find_position

PARTITION = "partition."
# Features of a table's protocol or settings that its files do not show → what to do.
HIDDEN = {
    "deletionVectors": "rewrite its files (REORG TABLE … APPLY (PURGE)) and turn delta.enableDeletionVectors off",
    "columnMapping": "write its rows to plain Parquet",
}


@dataclass(frozen=True, kw_only=True)
class OpenedFeed:
    """Files of a feed with those of its tables among them."""

    files: FeedFiles
    positions: Sequence[FeedPosition] = ()  # of its tables
    warnings: Sequence[str] = ()


def open_tables(files: FeedFiles) -> OpenedFeed:
    """The feed with all live rows of its tables."""
    opened = [list_live_files(root) for root in files.tables]
    return OpenedFeed(files=_with(files, [file for live, _ in opened for file in live]), positions=[at for _, at in opened])


@contextmanager
def open_changes(files: FeedFiles, workspace: Workspace, run_id: str, mapping: FeedMapping | None) -> Iterator[OpenedFeed]:
    """The feed with what changed in its tables since they were ingested last; a table that never was, with all its rows.

    The changes lie in the workspace until the context ends. Raises ConfigurationError for a feed without tables.
    """
    if not files.tables:
        raise ConfigurationError(
            "there is no table of Delta in the feed, so nothing says what changed",
            next_step="leave --changes-only out: a feed again changes only what is new in it",
        )
    folder = workspace.feed_changes(run_id)
    try:
        opened = [_open_since(root, workspace, f"{folder}/{i}.jsonl", mapping) for i, root in enumerate(files.tables)]
        yield OpenedFeed(
            files=_with(files, [file for each in opened for file in each.files.files]),
            positions=[position for each in opened for position in each.positions],
            warnings=[warning for each in opened for warning in each.warnings],
        )
    finally:
        storage.delete_folder(folder)


def _open_since(root: str, workspace: Workspace, target: str, mapping: FeedMapping | None) -> OpenedFeed:
    before = find_position(workspace, root)
    if before is None:
        live, position = list_live_files(root)
        warning = f"{root} was not ingested before: all its rows are read"
        return OpenedFeed(files=FeedFiles(live), positions=[position], warnings=[warning])
    table, position = _open_table(root)
    if position.table_id != before.table_id or position.version < before.version:
        raise BadDataError(
            f"{root} is another table than the one that was ingested up to version {before.version}",
            next_step="ingest the whole table once, without --changes-only",
        )
    first = before.version + 1
    lines = read_net_changes(root, table, first, position.version, mapping)
    if not lines:
        return OpenedFeed(files=FeedFiles(), positions=[position])
    data = b"\n".join(lines) + b"\n"
    storage.write_bytes(target, data)
    named = root if storage.is_remote(root) else Path(root).as_uri()
    shown = f"{named}#versions={first}-{position.version}"
    return OpenedFeed(files=FeedFiles([FeedFile(path=target, kind=JSON, size=len(data), shown=shown)]), positions=[position])


def _with(files: FeedFiles, more: Sequence[FeedFile]) -> FeedFiles:
    return replace(files, files=sorted([*files.files, *more], key=lambda file: file.path))


def list_live_files(root: str) -> tuple[list[FeedFile], FeedPosition]:
    """The files of the table's newest version, and which that is. Raises BadDataError for a log that cannot be read."""
    table, position = _open_table(root)
    try:
        added = pa.table(table.get_add_actions(flatten=True)).to_pylist()
    except (DeltaError, OSError) as error:
        raise _cannot_read(root, error) from error
    return [_as_file(root, row) for row in added], position


def _open_table(root: str) -> tuple[DeltaTable, FeedPosition]:
    try:
        table = open_delta(root)
        metadata = table.metadata()
        _refuse_hidden(root, table.protocol().reader_features or [], metadata.configuration)
    except (DeltaError, OSError) as error:
        raise _cannot_read(root, error) from error
    return table, FeedPosition(root=root, table_id=str(metadata.id), version=table.version())


def _cannot_read(root: str, error: Exception) -> BadDataError:
    return BadDataError(
        f"{root} cannot be read as a table of Delta: {error}", next_step="restore its folder _delta_log, or give other files"
    )


def _refuse_hidden(root: str, features: list[str], configuration: dict[str, str]) -> None:
    is_mapped = configuration.get("delta.columnMapping.mode", "none") != "none"
    for feature, advice in HIDDEN.items():
        if feature in features or (is_mapped and feature == "columnMapping"):
            raise ConfigurationError(f"{root} is a table of Delta with {feature}, which M5 does not read", next_step=advice)


def _as_file(root: str, row: dict[str, Any]) -> FeedFile:
    return FeedFile(
        path=f"{root}/{unquote(row['path'])}", kind=PARQUET, size=row["size_bytes"], constants=tuple(_constants_of(row))
    )


def _constants_of(row: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in row.items():
        field = name.removeprefix(PARTITION)
        if name.startswith(PARTITION) and value is not None and field in FEED_FIELDS:
            yield field, str(value)
