"""A table of Delta is a feed of its live rows."""

import json
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from m5model.feeds.records import add_constants
from m5model.feeds.sources import find_feed_files
from m5model.feeds.splits import Split, read_split
from schemas.errors import BadDataError, ConfigurationError
from spark.ingest.reading.delta_tables import open_tables


def _rows(path: Path) -> list[dict[str, str]]:
    files = open_tables(find_feed_files([str(path)], with_tables=True)).files.files
    found = [(file, record) for file in files for block in read_split(Split(file=file)) for record in block.records]
    return sorted(
        (json.loads(add_constants(record, dict(file.constants))) for file, record in found), key=lambda row: row["item_id"]
    )


def _write(path: Path, rows: list[dict[str, str | None]], **options: object) -> None:
    write_deltalake(str(path), pa.Table.from_pylist(rows), **options)


def test_live_rows_are_read_with_the_values_of_their_partitions(tmp_path: Path) -> None:
    rows: list[dict[str, str | None]] = [{"seller": "A/B 100%", "item_id": "1"}, {"seller": None, "item_id": "2"}]
    _write(tmp_path / "table", [*rows, {"seller": "gone", "item_id": "3"}], partition_by=["seller"])
    DeltaTable(str(tmp_path / "table")).delete("item_id = '3'")
    _write(tmp_path / "table", [{"seller": "later", "item_id": "4"}], mode="append")
    expected = [{"seller": "A/B 100%", "item_id": "1"}, {"item_id": "2"}, {"seller": "later", "item_id": "4"}]
    assert _rows(tmp_path / "table") == expected
    (tmp_path / "more.jsonl").write_text('{"item_id": "0"}\n')
    assert _rows(tmp_path) == [{"item_id": "0"}, *expected], "a table below a folder is one, too"


def test_a_part_of_a_table_and_a_table_with_hidden_rows_are_refused_with_advice(tmp_path: Path) -> None:
    _write(tmp_path / "table", [{"locale": "DE", "item_id": "1"}], partition_by=["locale"])
    with pytest.raises(ConfigurationError, match=r"Give the whole table as a feed \(.*/table\)"):
        _rows(tmp_path / "table" / "locale=DE")
    _write(tmp_path / "mapped", [{"item_id": "1"}], configuration={"delta.columnMapping.mode": "none"})
    log = tmp_path / "mapped" / "_delta_log" / "00000000000000000000.json"
    log.write_text(log.read_text().replace('"delta.columnMapping.mode":"none"', '"delta.columnMapping.mode":"name"'))
    with pytest.raises(ConfigurationError, match="is a table of Delta with columnMapping, which M5 does not read"):
        _rows(tmp_path / "mapped")


def test_a_damaged_log_is_named(tmp_path: Path) -> None:
    (tmp_path / "table" / "_delta_log").mkdir(parents=True)
    (tmp_path / "table" / "_delta_log" / "00000000000000000000.json").write_text("{")
    with pytest.raises(BadDataError, match=r"table cannot be read as a table of Delta: (?s:.)*_delta_log"):
        _rows(tmp_path / "table")
