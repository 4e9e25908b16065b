"""Rows of Parquet become records: types that JSON has not, names that repeat, columns that do not matter."""

import json
import math
from datetime import date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from m5model.feeds.parquet_rows import read_parquet_rows


def _read(path: Path, table: pa.Table, **options: Any) -> list[dict[str, Any]]:
    pq.write_table(table, path, **options)
    return [json.loads(record) for block in read_parquet_rows(str(path)) for record in block.records]


@pytest.mark.parametrize(
    ("kind", "value", "text"),
    [
        (pa.timestamp("ns"), 1_500_000_001, "1970-01-01 00:00:01.500000001"),
        (pa.timestamp("us"), 1_500_000, "1970-01-01 00:00:01.5"),
        (pa.timestamp("ms", "UTC"), 1_000, "1970-01-01 00:00:01Z"),
        (pa.timestamp("us", "Europe/Berlin"), 1_250_000, "1970-01-01 00:00:01.25Z"),
        (pa.date32(), 1, "1970-01-02"),
        (pa.date64(), 86_400_000, "1970-01-02"),
    ],
)
def test_times_of_every_kind_are_times_of_a_record_and_texts_of_an_attribute(
    tmp_path: Path, kind: pa.DataType, value: int, text: str
) -> None:
    times = pa.array([value, None], kind)
    table = pa.table({"updated_at": times, "title": times, "attributes": pa.StructArray.from_arrays([times], ["since"])})
    (row, empty) = _read(tmp_path / "a.parquet", table)
    assert (row["updated_at"], row["attributes"]) == (text, {"since": text})
    assert row["title"] == [{next(iter(row["title"][0])): text}], "a time is no title"
    assert empty == {"attributes": {}}


def test_times_of_int96_are_read(tmp_path: Path) -> None:
    table = pa.table({"updated_at": [datetime(2024, 5, 1, 12, 30)]})
    assert _read(tmp_path / "a.parquet", table, use_deprecated_int96_timestamps=True) == [{"updated_at": "2024-05-01 12:30:00"}]


def test_names_may_repeat_hold_dots_and_begin_with_signs(tmp_path: Path) -> None:
    names = ["locale", "a.b", "_x", "locale", "", "`q`", "Title", "title"]
    table = pa.Table.from_arrays([pa.array([str(i)]) for i in range(len(names))], names=names)
    assert _read(tmp_path / "a.parquet", table) == [
        {"locale": "0", "a.b": "1", "_x": "2", "locale (4)": "3", "column 5": "4", "`q`": "5", "Title": "6", "title": "7"}
    ]


def test_columns_that_do_not_matter_are_not_read(tmp_path: Path) -> None:
    table = pa.table(
        {
            "image": [b"x" * 1_000],
            "vector": [[0.5] * 8],
            "nested": [{"a": {"b": [1]}}],
            "bullets": [["a", None, "b"]],
            "prices": pa.array([[("a", 1.5)]], pa.map_(pa.string(), pa.float64())),
            "title": ["t"],
        }
    )
    assert _read(tmp_path / "a.parquet", table) == [{"bullets": ["a", None, "b"], "title": "t"}]
    assert _read(tmp_path / "a.parquet", table.select(["image"])) == [{}]


def test_numbers_keep_their_spelling(tmp_path: Path) -> None:
    attributes = {"f": pa.array([0.1], pa.float32()), "d": [Decimal("1.50")], "i": [2**63 - 1], "b": [True], "x": [math.inf]}
    struct = pa.StructArray.from_arrays([pa.array(values) for values in attributes.values()], list(attributes))
    (row,) = _read(tmp_path / "a.parquet", pa.table({"attributes": struct, "item_id": pa.array([7], pa.uint64())}))
    assert row["attributes"] == {"f": 0.1, "d": 1.5, "i": 2**63 - 1, "b": True, "x": [{"double": "inf"}]}
    assert b'"d":1.50' in next(read_parquet_rows(str(tmp_path / "a.parquet"))).records[0]
    assert row["item_id"] == 7


@pytest.mark.parametrize("dictionary", [True, False])
def test_lists_and_maps_are_read_behind_slices_and_nulls(tmp_path: Path, dictionary: bool) -> None:
    rows = [{"bullets": None if i % 3 == 0 else [f"b{i}"] * (i % 4), "title": f"t{i % 5}"} for i in range(5_000)]
    maps = pa.array(
        [None if i % 7 == 0 else [("k", f"v{i}")] * (i % 3) for i in range(5_000)], pa.map_(pa.string(), pa.string())
    )
    table = pa.Table.from_pylist(rows).append_column("attributes", maps)
    if dictionary:
        table = table.set_column(1, "title", table["title"].dictionary_encode())
    found = _read(tmp_path / "a.parquet", table, row_group_size=1_500)
    expected = [
        {
            name: value
            for name, value in {**row, "attributes": pairs if pairs is None else dict(pairs)}.items()
            if value is not None
        }
        for row, pairs in zip(rows, maps.to_pylist(), strict=True)
    ]
    assert found == expected


def test_other_types_are_wrapped(tmp_path: Path) -> None:
    table = pa.table({"title": [time(1, 2)], "brand": [b"\xff"], "seller": [math.nan], "description": [date(2024, 1, 1)]})
    (row,) = _read(tmp_path / "a.parquet", table)
    assert all(isinstance(value, list) and isinstance(value[0], dict) for value in row.values())


def _list(texts: pa.Array) -> pa.Array:
    return pa.ListArray.from_arrays([0, 1, 2], texts)


@pytest.mark.parametrize(
    ("name", "make"),
    [("title", list), ("title", pa.Array.dictionary_encode), ("color", list), ('a"b', list), ("bullets", _list)],
)
def test_a_text_that_is_no_utf_8_makes_a_record_that_is_none_with_its_bytes(tmp_path: Path, name: str, make: Any) -> None:
    texts = pa.array([b"ab\xff", b"c"], pa.binary()).view(pa.string())
    table = pa.table({"item_id": ["1", "2"], name: texts if make is list else make(texts)})
    pq.write_table(table, tmp_path / "a.parquet")
    (block, _) = read_parquet_rows(str(tmp_path / "a.parquet"))
    (bad, good) = block.records
    assert b'"item_id": "1"' in bad
    assert b"ab\xff" in bad
    assert json.loads(good)["item_id"] == "2"
    assert block.columns is None
