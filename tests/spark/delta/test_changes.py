"""Maintenance of a table is no change of its rows."""

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from schemas.errors import ConfigurationError
from spark.delta.changes import last_change

MAINTENANCE: dict[str, Callable[[DeltaTable], object]] = {
    "vacuuming": lambda table: table.vacuum(0, dry_run=False, enforce_retention_duration=False, full=True),
    "compacting": lambda table: table.optimize.compact(),
    "a property": lambda table: table.alter.set_table_properties({"delta.logRetentionDuration": "interval 60 days"}),
}


def _write(path: Path, ids: list[int], mode: str = "append") -> None:
    write_deltalake(str(path), pa.table({"id": ids}), mode=mode)  # type: ignore[call-overload]


@pytest.mark.parametrize("kind", MAINTENANCE)
def test_maintenance_leaves_the_last_change_where_it_was(tmp_path: Path, kind: str) -> None:
    _write(tmp_path, [1], "overwrite")
    _write(tmp_path, [2])
    (tmp_path / "left-by-a-killed-run.parquet").write_bytes(b"PAR1")
    MAINTENANCE[kind](DeltaTable(tmp_path))
    assert DeltaTable(tmp_path).version() > 1
    assert last_change(str(tmp_path), made_by="x") == 1
    _write(tmp_path, [3])
    assert last_change(str(tmp_path), made_by="x") == DeltaTable(tmp_path).version()


def test_a_deletion_is_a_change_and_an_empty_table_is_at_its_first_version(tmp_path: Path) -> None:
    DeltaTable.create(str(tmp_path), pa.schema([("id", pa.int64())]))
    assert last_change(str(tmp_path), made_by="x") == 0
    _write(tmp_path, [1, 2])
    DeltaTable(tmp_path).delete()
    assert last_change(str(tmp_path), made_by="x") == 2


def test_where_the_log_has_lost_the_change_the_newest_version_stands_for_it(tmp_path: Path) -> None:
    _write(tmp_path, [1], "overwrite")
    for days in (60, 90):
        DeltaTable(tmp_path).alter.set_table_properties({"delta.logRetentionDuration": f"interval {days} days"})
    DeltaTable(tmp_path).create_checkpoint()
    for version in (0, 1):
        (tmp_path / "_delta_log" / f"{version:020d}.json").unlink()
    assert last_change(str(tmp_path), made_by="x") == 2


def test_without_a_table_the_command_that_makes_it_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="there is no table .*\n.*run jobs/x.py"):
        last_change(str(tmp_path / "none"), made_by="jobs/x.py")
