"""Reads a table's log with delta-rs, in milliseconds: no Spark session, no Spark job."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import unquote

import pyarrow as pa
from deltalake.exceptions import TableNotFoundError

from m5model.files.delta import open_delta
from spark.delta.missing import missing_table


@dataclass(frozen=True, kw_only=True)
class TableState:
    """A table at its newest version."""

    version: int
    properties: Mapping[str, str]


def look_up(path: str) -> TableState | None:
    """The table as it is now; None where there is none."""
    try:
        table = open_delta(path)
    except TableNotFoundError:
        return None
    return TableState(version=table.version(), properties=dict(table.metadata().configuration))


def count_rows(path: str) -> int:
    """Rows of the table as it is now, from the statistics in its log."""
    return int(open_delta(path).count())


def has_partition(path: str, column: str, values: Sequence[str], *, made_by: str) -> bool:
    """Are there data files whose partition ``column`` is one of ``values``? As for an absent table, see ``require_table``."""
    require_table(path, made_by=made_by)
    return bool(open_delta(path).partitions([(column, "in", list(values))]))


def list_files_by(path: str, column: str) -> tuple[int, dict[str, list[tuple[str, int]]]]:
    """The newest version, and its data files with their rows by the value of a partition column.

    Of files whose rows the log does not know, an absent table's among them, none is listed.
    """
    try:
        table = open_delta(path)
    except TableNotFoundError:
        return -1, {}
    found: dict[str, list[tuple[str, int]]] = {}
    for row in pa.table(table.get_add_actions(flatten=True)).to_pylist():
        if row.get("num_records") is None:
            return table.version(), {}
        found.setdefault(row[f"partition.{column}"], []).append((f"{path}/{unquote(row['path'])}", row["num_records"]))
    return table.version(), found


def require_table(path: str, *, made_by: str) -> TableState:
    """The table as it is now. Raises ConfigurationError naming the command that makes it, where there is none."""
    state = look_up(path)
    if state is None:
        raise missing_table(path, made_by)
    return state
