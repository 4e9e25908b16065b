"""The facts of a Delta table from its log and its files' statistics alone: no row is read, whatever their number."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cached_property

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable

from m5model.files.delta import open_delta
from m5model.files.delta_log import Commit, list_versions, read_commit
from m5model.reports.site.facts import TableFacts, Version

SHOWN_VERSIONS = 12
DELETION_VECTORS = "deletionVectors"


class OpenTable:
    """A table with its files' statistics, read once."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.delta: DeltaTable = open_delta(path)

    @cached_property
    def files(self) -> pa.Table:
        """One row a file, by path: size_bytes, num_records, partition.NAME, null_count.NAME, min.NAME, max.NAME."""
        return pa.table(self.delta.get_add_actions(flatten=True)).sort_by("path")

    @cached_property
    def commits(self) -> Sequence[Commit]:
        """The newest commits that the log holds, newest first."""
        return [read_commit(self.path, version) for version in list_versions(self.path)[: -SHOWN_VERSIONS - 1 : -1]]

    @property
    def rows(self) -> int | None:
        """None where a file has no statistics."""
        return None if _lacks_values(self.files, "num_records") else _sum(self.files.column("num_records"))

    def rows_by(self, column: str) -> Mapping[str, int]:
        """Rows by value of a column that is one value in each file: a partition, or one with equal bounds. Else empty."""
        values = self._single_values(column)
        if values is None or self.rows is None:
            return {}
        rows = pa.table({"value": values, "rows": self.files.column("num_records")})
        counted = rows.group_by("value").aggregate([("rows", "sum")])
        pairs = zip(counted.column("value").to_pylist(), counted.column("rows_sum").to_pylist(), strict=True)
        return dict(sorted((str(value), int(each)) for value, each in pairs))

    def nulls(self) -> dict[str, int]:
        """Rows without a value, by column that all files have statistics of."""
        names = [name for name in self.files.column_names if name.startswith("null_count.")]
        whole = [name for name in names if not _lacks_values(self.files, name)]
        return {name.removeprefix("null_count."): _sum(self.files.column(name)) for name in whole}

    def _single_values(self, column: str) -> pa.ChunkedArray | None:
        names = self.files.column_names
        if f"partition.{column}" in names:
            return self.files.column(f"partition.{column}")
        if f"min.{column}" not in names:
            return None
        low, high = self.files.column(f"min.{column}"), self.files.column(f"max.{column}")
        is_single = pc.all(pc.equal(low, high), skip_nulls=False).as_py()
        return low if is_single else None


def describe_table(name: str, table: OpenTable) -> TableFacts:
    """The facts of an open table."""
    changed = next((commit for commit in table.commits if commit.changes_rows), None)
    at = (changed or table.commits[0]).committed_at if table.commits else datetime.fromtimestamp(0, UTC)
    features = table.delta.protocol().reader_features or []
    return TableFacts(
        name=name,
        version=table.delta.version(),
        at=as_text(at),
        rows=table.rows,
        files=table.files.num_rows,
        bytes=_sum(table.files.column("size_bytes")),
        rows_by_locale=table.rows_by("locale"),
        nulls=table.nulls(),
        versions=[Version(number=one.version, at=as_text(one.committed_at), operation=one.operation) for one in table.commits],
        note="deleted rows are counted: the table has deletion vectors" if DELETION_VECTORS in features else "",
    )


def as_text(at: datetime) -> str:
    """ISO 8601, UTC, to the second."""
    return at.astimezone(UTC).isoformat(timespec="seconds")


def _lacks_values(files: pa.Table, column: str) -> bool:
    return column not in files.column_names or files.column(column).null_count > 0


def _sum(values: pa.ChunkedArray) -> int:
    return int(pc.sum(values).as_py() or 0)
