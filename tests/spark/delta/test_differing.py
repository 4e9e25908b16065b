"""Rows of two versions are compared by key, column by column."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from spark.delta.changed_files import TwoVersions
from spark.delta.data_files import DataFile
from spark.delta.differing import compare_partition, plan_comparisons, values_differ

TEXTS, MAP = pa.list_(pa.string()), pa.map_(pa.string(), pa.string())


@pytest.mark.parametrize(
    ("kind", "same", "others"),
    [
        (pa.string(), "a", ["b", "", None]),
        (pa.timestamp("us", "UTC"), 1, [2, None]),
        (TEXTS, ["a", None], [["a"], ["a", "b"], [None, "a"], [], None]),
        (pa.list_(pa.float32()), [1.0, 2.0], [[1.0, 3.0], [1.0], None]),
        (MAP, [("a", "1"), ("b", None)], [[("a", "1")], [("a", "1"), ("b", "2")], [("c", "1"), ("b", None)], [], None]),
        (pa.list_(pa.struct([("x", TEXTS)])), [{"x": ["a"]}], [[{"x": ["b"]}], [{"x": None}], [None], None]),
    ],
)
def test_a_value_differs_from_every_other_and_from_none_that_is_the_same(
    kind: pa.DataType, same: Any, others: list[Any]
) -> None:
    before = pa.array([same, None, *[same] * len(others), *others], kind)
    after = pa.array([same, None, *others, *[same] * len(others)], kind)
    assert values_differ(before, after).tolist() == [False, False, *[True] * len(others) * 2]


def write(folder: Path, name: str, rows: list[dict[str, Any]]) -> DataFile:
    columns = [("locale", pa.string()), ("item_id", pa.string()), ("space", pa.string()), ("texts", TEXTS)]
    pq.write_table(pa.Table.from_pylist(rows, pa.schema(columns)), folder / name)
    return DataFile(path=name, partition={}, size=1, modified=0, stats={})


def row(item_id: str, *texts: str, space: str = "a") -> dict[str, Any]:
    return {"locale": "DE", "item_id": item_id, "space": space, "texts": list(texts)}


def test_rows_of_one_side_alone_and_rows_with_another_value_are_found_in_whatever_file_and_order(tmp_path: Path) -> None:
    older = [
        write(tmp_path, "1", [row("same", "x"), row("gone"), row("changed", "x")]),
        write(tmp_path, "2", [row("same", "y", space="b"), row("of another space", space="b"), row("too", "x")]),
    ]
    newer = [write(tmp_path, "3", [row("too", "z"), row("new"), row("changed", "x", "y"), row("same", "x")])]
    common = write(tmp_path, "4", [row("in both")])
    versions = TwoVersions(path=str(tmp_path), older=(*older, common), newer=(common, *newer))
    schema = pa.schema([(name, pa.string()) for name in ("locale", "item_id", "space")] + [("texts", TEXTS)])
    (comparison,) = plan_comparisons(versions, schema, only=("space", "a"))
    assert sorted(compare_partition(comparison)["item_id"].to_pylist()) == ["changed", "gone", "new", "too"]


def test_files_of_a_partition_are_compared_with_one_another() -> None:
    files = [DataFile(path=str(n), partition={"p": str(n % 2)}, size=1, modified=0, stats={}) for n in range(5)]
    versions = TwoVersions(path="", older=tuple(files[:3]), newer=tuple(files[3:]))
    found = [(one.older, one.newer) for one in plan_comparisons(versions, pa.schema([]))]
    assert found == [((files[0], files[2]), (files[4],)), ((files[1],), (files[3],))]
