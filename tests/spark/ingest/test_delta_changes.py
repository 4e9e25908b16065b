"""The change feed of a table of Delta since its last ingest: what was deleted there is deleted here."""

import json
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from m5model.feeds.mapping import FeedMapping, Rule
from m5model.feeds.sources import find_feed_files
from schemas.errors import BadDataError, ConfigurationError
from schemas.workspace import Workspace
from spark.ingest.ingest import IngestResult, ingest_feed
from spark.ingest.reading.delta_changes import read_net_changes
from spark.ingest.reading.delta_tables import open_changes
from spark.ingest.reading.feed_positions import FeedPosition, find_position, keep_position

KEPT = {"delta.enableChangeDataFeed": "true"}


def _row(item_id: str, title: str = "a title", locale: str = "DE") -> dict[str, str]:
    return {"locale": locale, "item_id": item_id, "title": title, "language": "de", "updated_at": "2026-01-01"}


def _write(path: Path, *rows: dict[str, str], mode: str = "append", **options: object) -> None:
    write_deltalake(str(path), pa.Table.from_pylist(list(rows)), mode=mode, configuration=KEPT, **options)  # type: ignore[call-overload]


def _changes(path: Path, first: int, mapping: FeedMapping | None = None) -> list[tuple[str, str, bool]]:
    table = DeltaTable(str(path))
    lines = map(json.loads, read_net_changes(str(path), table, first, table.version(), mapping))
    return [(line.get("item_id") or line["sku"], line["title"], line.get("deleted", False)) for line in lines]


def test_the_last_change_of_each_key_counts_whatever_came_before(tmp_path: Path) -> None:
    table = tmp_path / "table"
    _write(table, _row("1"), _row("2"), _row("3"), partition_by=["locale"])
    DeltaTable(str(table)).update({"title": "'new'", "item_id": "'4'"}, predicate="item_id = '3'")
    DeltaTable(str(table)).delete("item_id = '2'")
    _write(table, _row("5"), _row("2", "back"))
    DeltaTable(str(table)).delete("item_id = '5'")
    assert _changes(table, 1) == [("3", "a title", True), ("4", "new", False), ("2", "back", False), ("5", "a title", True)]
    _write(table, _row("1"), _row("2", "back"), mode="overwrite", partition_by=["locale"])
    assert _changes(table, 5) == [("4", "new", True), ("1", "a title", False), ("2", "back", False)], (
        "a row that is rewritten stays"
    )


def test_a_table_that_keeps_no_change_feed_says_the_same_by_its_files(tmp_path: Path) -> None:
    table = tmp_path / "table"
    write_deltalake(str(table), pa.Table.from_pylist([_row("1"), _row("2"), _row("3")]))
    DeltaTable(str(table)).delete("item_id = '2'")
    DeltaTable(str(table)).optimize.compact()
    assert _changes(table, 1) == [("2", "a title", True), ("1", "a title", False), ("3", "a title", False)]


def test_keys_are_those_that_a_mapping_makes(tmp_path: Path) -> None:
    table = tmp_path / "table"
    mapping = FeedMapping(name="m", fields={"item_id": Rule(first_of=("sku",))}, constants={"locale": "DE"})
    _write(table, {"sku": "1", "title": "a"}, {"sku": "2", "title": "b"})
    _write(table, {"sku": "1", "title": "c"}, mode="overwrite")
    assert _changes(table, 1, mapping) == [("2", "b", True), ("1", "c", False)]


def test_changes_that_are_not_kept_or_of_another_table_are_refused(tmp_path: Path) -> None:
    workspace, table = Workspace(str(tmp_path / "workspace")), tmp_path / "table"
    write_deltalake(str(table), pa.Table.from_pylist([_row("1")]))
    DeltaTable(str(table)).delete()
    DeltaTable(str(table)).vacuum(0, dry_run=False, enforce_retention_duration=False)
    files = find_feed_files([str(table)], with_tables=True)
    position = FeedPosition(root=str(table), table_id=str(DeltaTable(str(table)).metadata().id), version=0)
    keep_position(workspace, position)
    assert find_position(workspace, str(table)) == position
    with pytest.raises(
        BadDataError, match=r"does not say what changed in its versions 1 to [0-9]+(?s:.)*without --changes-only"
    ):
        open_changes(files, workspace, "run", None).__enter__()
    keep_position(workspace, FeedPosition(root=str(table), table_id="another", version=0))
    with pytest.raises(BadDataError, match="is another table than the one that was ingested up to version 0"):
        open_changes(files, workspace, "run", None).__enter__()
    (tmp_path / "a.jsonl").write_text("{}\n")
    with pytest.raises(ConfigurationError, match="no table of Delta in the feed"):
        open_changes(find_feed_files([str(tmp_path / "a.jsonl")]), workspace, "run", None).__enter__()


def test_a_table_is_read_whole_once_and_then_its_changes(spark, tmp_path: Path) -> None:
    workspace, table = Workspace(str(tmp_path / "workspace")), tmp_path / "table"
    _write(table, _row("1"), _row("2"), _row("3"))

    def ingest(run_id: str) -> IngestResult:
        return ingest_feed(spark, workspace, [str(table)], run_id=run_id, changes_only=True)

    first = ingest("first")
    assert (first.inserted, first.warnings) == (3, (f"{table} was not ingested before: all its rows are read",))
    assert ingest("idle").accounting.rows_in == 0
    DeltaTable(str(table)).delete("item_id = '1'")
    _write(table, _row("4"), _row("2", "newer") | {"updated_at": "2026-01-02"})
    second = ingest("second")
    assert (second.inserted, second.updated, second.deleted, second.warnings) == (1, 1, 1, ())
    assert [account.file for account in second.accounts] == [f"{table.as_uri()}#versions=1-2"]
    left = DeltaTable(workspace.table("listings")).to_pyarrow_table().to_pylist()
    assert {row["item_id"]: row["title"] for row in left} == {"2": "newer", "3": "a title", "4": "a title"}
    assert not (Path(workspace.root) / "staging" / "changes" / "second").exists()
    with pytest.raises(ConfigurationError, match="a feed of changes is no full feed"):
        ingest_feed(spark, workspace, [str(table)], run_id="both", changes_only=True, full=True)
