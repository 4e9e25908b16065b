import random
from collections.abc import Iterable
from dataclasses import replace

import pyarrow as pa
import pytest

from m5model.features.difference import compare_versions
from m5model.features.drift import MAX_SHIFT, shift
from m5model.features.row_changes import compare_rows
from schemas.workspace import Workspace
from tests.m5model.features.views import BRANDS, PAIRS, Rows, brand_row, pair_row, publish_view, write_listings


def _batches(rows: Rows) -> Iterable[pa.RecordBatch]:
    return pa.Table.from_pylist(list(rows), BRANDS.table().arrow_schema()).to_batches(max_chunksize=7)


@pytest.mark.parametrize("part_rows", [1_000, 11])
def test_rows_are_compared_by_key_in_parts_of_any_size(part_rows: int) -> None:
    draw = random.Random(3)
    old = [brand_row(str(i), draw.choice(["DE", "JP"]), score=0.5) for i in range(60)]
    new = [dict(row) for row in old[5:]]
    for row in new[:4]:
        row["score"] = 0.25
    new[4]["brand"], new[5]["vector"], new[6]["vector"] = None, [0.8, 0.6], [0.6, 0.8, 0.0]
    new += [brand_row("new", "IT")]
    draw.shuffle(new)
    found = compare_rows(_batches(old), _batches(new), BRANDS.key, rows=115, samples=3, part_rows=part_rows)
    assert (found.same, found.added, found.removed, found.changed) == (48, 1, 5, 7)
    assert found.changed_columns == {"score": 4, "brand": 1, "vector": 2}
    assert [row["item_id"] for row in found.added_rows] == ["new"]
    lost = sorted((row["locale"], row["item_id"]) for row in old[:5])
    assert [(row["locale"], row["item_id"]) for row in found.removed_rows] == lost[:3]
    assert len(found.changed_rows) == 3 and all(before != after for before, after in found.changed_rows)


def test_null_is_like_null_and_nan_like_nan() -> None:
    rows = [brand_row("A", brand=None, score=float("nan"), vector=[float("nan"), 1.0])]
    found = compare_rows(_batches(rows), _batches(rows), BRANDS.key, rows=2, samples=1)
    assert (found.same, found.changed) == (1, 0)


def test_one_side_may_be_empty() -> None:
    rows = [brand_row("A")]
    assert compare_rows(_batches([]), _batches(rows), BRANDS.key, rows=1, samples=1).added == 1
    assert compare_rows(_batches(rows), _batches([]), BRANDS.key, rows=1, samples=1).removed == 1


def test_versions_differ_in_rows_settings_and_sources_and_samples_are_listings(workspace: Workspace) -> None:
    listings = write_listings(workspace, [("DE", "A"), ("DE", "B"), ("DE", "C")])
    publish_view(workspace, [pair_row("A", "B")], view=PAIRS, listings=listings, threshold=0.9)
    publish_view(workspace, [pair_row("A", "B"), pair_row("A", "C", cosine=0.7)], view=PAIRS, listings=listings, threshold=0.7)
    found = compare_versions(workspace, "duplicates", 0, 1)
    assert (found.rows.same, found.rows.added) == (1, 1)
    assert found.settings == {"threshold": (0.9, 0.7)}
    assert found.source == {} and found.columns == {}
    (sample,) = found.as_json()["samples"]["added"]  # type: ignore[index, call-overload]
    assert sample["listings"] == ["title of A (Acme)", "title of C (Acme)"]
    assert [figure.name for figure in found.drift if not figure.holds] == ["shift of rows per listing", "shift of cosine"]


def test_only_files_that_differ_are_read(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    publish_view(workspace, [brand_row(str(i)) for i in range(20)])
    publish_view(workspace, [brand_row("new")], mode="append")
    read: list[int] = []

    def compare_and_note(old: Iterable[pa.RecordBatch], new: Iterable[pa.RecordBatch], *how: object, **more: object) -> object:
        sides = list(old), list(new)
        read.extend(sum(batch.num_rows for batch in side) for side in sides)
        return compare_rows(*sides, *how, **more)  # type: ignore[arg-type]

    monkeypatch.setattr("m5model.features.difference.compare_rows", compare_and_note)
    found = compare_versions(workspace, "brands", 0, 1)
    assert (found.rows.same, found.rows.added, read) == (20, 1, [0, 1])


def test_a_column_that_came_is_named_and_the_rows_are_compared_by_the_others(workspace: Workspace) -> None:
    fewer = BRANDS.columns[:2] + BRANDS.columns[3:]
    publish_view(workspace, [brand_row("A")], view=replace(BRANDS, columns=fewer))
    publish_view(workspace, [brand_row("A")])
    found = compare_versions(workspace, "brands", 0, 1)
    assert found.columns == {"brand": (None, "string")}
    assert (found.rows.same, found.rows.changed) == (1, 0)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [((1, 1), (5, 5), 0.0), ((4, 0), (3, 1), 0.25), ((1, 0), (0, 1), 1.0), ((0, 0), (0, 1), 1.0), ((0, 0), (0, 0), 0.0)],
)
def test_a_shift_is_the_share_of_rows_that_would_have_to_move(
    before: tuple[int, int], after: tuple[int, int], expected: float
) -> None:
    assert shift(before, after) == expected
    assert 0 < MAX_SHIFT < 1
