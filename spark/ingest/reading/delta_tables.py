"""Tables of Delta that are given as feeds: their live files, with the values of their partitions.

A table whose files alone are not its rows (deletion vectors, renamed columns) is refused with advice.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import unquote

import pyarrow as pa
from deltalake.exceptions import DeltaError

from m5model.feeds.sources import PARQUET, FeedFile, FeedFiles
from m5model.files.delta import open_delta
from schemas.errors import BadDataError, ConfigurationError
from schemas.listing import FEED_FIELDS

PARTITION = "partition."
# Features of a table's protocol or settings that its files do not show → what to do.
HIDDEN = {
    "deletionVectors": "rewrite its files (REORG TABLE … APPLY (PURGE)) and turn delta.enableDeletionVectors off",
    "columnMapping": "write its rows to plain Parquet",
}


def open_tables(files: FeedFiles) -> FeedFiles:
    """The feed's files, those of its tables among them."""
    live = [file for root in files.tables for file in list_live_files(root)]
    return replace(files, files=sorted([*files.files, *live], key=lambda file: file.path))


def list_live_files(root: str) -> list[FeedFile]:
    """The files of the table's newest version. Raises BadDataError naming a table whose log cannot be read."""
    try:
        table = open_delta(root)
        _refuse_hidden(root, table.protocol().reader_features or [], table.metadata().configuration)
        added = pa.table(table.get_add_actions(flatten=True)).to_pylist()
    except (DeltaError, OSError) as error:
        raise BadDataError(
            f"{root} cannot be read as a table of Delta: {error}",
            next_step="restore its folder _delta_log, or give other files",
        ) from error
    return [_as_file(root, row) for row in added]


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
