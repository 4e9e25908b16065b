import random
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable

from m5model.features.measure import measure_rows
from m5model.features.profiles import find_profile, read_profile
from m5model.features.publications import read_publications
from m5model.features.rollback import roll_back
from schemas.feature_profile import Profile, empty_profile, plan_histograms
from schemas.workspace import Workspace
from tests.m5model.features.views import BRANDS, PAIRS, Rows, brand_row, pair_row, publish_view

COLUMNS = [{"name": column.name, "type": str(column.type), "unit": column.unit} for column in BRANDS.columns]
PAIR_COLUMNS = [{"name": column.name, "type": str(column.type), "unit": column.unit} for column in PAIRS.columns]


def _measure(rows: Rows, size: int = 3) -> Profile:
    table = pa.Table.from_pylist(list(rows), BRANDS.table().arrow_schema())
    return measure_rows(table.to_batches(max_chunksize=size), COLUMNS, BRANDS.key)


def _counted(profile: Profile, name: str) -> dict[int, int]:
    return {place: count for place, count in enumerate(profile.histograms[name]) if count}


def test_rows_are_counted_by_locale_null_and_bin() -> None:
    rows = [brand_row("A"), brand_row("B", brand=None, score=1.0, votes=0), brand_row("A", "JP", score=-1.0, votes=5_000_000)]
    profile = _measure(rows)
    assert (profile.rows, profile.rows_by_locale, profile.listings_by_locale) == (3, {"DE": 2, "JP": 1}, {"DE": 2, "JP": 1})
    assert {name: count for name, count in profile.nulls.items() if count} == {"brand": 1}
    assert _counted(profile, "score") == {0: 1, 30: 1, 39: 1}
    assert _counted(profile, "votes") == {0: 1, 2: 1, len(profile.histograms["votes"]) - 1: 1}
    assert sum(profile.histograms["vector[1]"]) == 3 and not sum(profile.histograms["vector[2]"])
    assert profile.rows_per_listing[1] == 3


def test_not_a_number_is_in_no_bin() -> None:
    assert sum(_measure([brand_row("A", score=float("nan"))]).histograms["score"]) == 0


def test_listings_with_several_rows_are_counted_once() -> None:
    rows = [pair_row("A", "B"), pair_row("A", "C"), pair_row("B", "C"), pair_row("A", "B", locale="JP")]
    table = pa.Table.from_pylist(rows, PAIRS.table().arrow_schema())
    profile = measure_rows(table.to_batches(max_chunksize=1), PAIR_COLUMNS, PAIRS.key)
    assert (profile.rows, profile.listings_by_locale) == (4, {"DE": 2, "JP": 1})
    assert profile.rows_per_listing[:4] == (0, 2, 1, 0)


def test_profiles_add_up_and_come_off_exactly_whatever_the_order() -> None:
    draw = random.Random(5)
    rows = [
        brand_row(
            str(i),
            draw.choice(["DE", "JP"]),
            score=draw.uniform(-1, 1),
            votes=draw.randrange(99),
            brand=draw.choice(["a", None]),
        )
        for i in range(300)
    ]
    whole = _measure(rows)
    draw.shuffle(rows)
    left, right = _measure(rows[:117], 7), _measure(rows[117:], 50)
    assert left.plus(right) == right.plus(left) == whole
    assert whole.minus(left) == right
    assert whole.minus(whole) == empty_profile(COLUMNS)


def test_taking_off_what_is_not_there_is_refused() -> None:
    with pytest.raises(ValueError, match="does not hold"):
        _measure([brand_row("A")]).minus(_measure([brand_row("B", "JP")]))


def test_bins_come_from_what_the_view_declares() -> None:
    planned = {one.name: len(one.edges) for one in plan_histograms(COLUMNS)}
    assert planned == {"score": 39, "votes": 27, "vector[0]": 39, "vector[1]": 39, "vector[2]": 39, "vector[3]": 39}


def test_a_profile_is_made_once_and_equals_that_of_all_rows(workspace: Workspace) -> None:
    path = workspace.table("features/brands")
    versions = [[brand_row("A")], [brand_row("A"), brand_row("B", "JP")], [brand_row("B", "JP", score=0.1)]]
    for rows in versions:
        publish_view(workspace, rows)
        assert find_profile(workspace, "brands", read_publications(path)).profile == _measure(rows)
    roll_back(workspace, "brands", 1)
    for file in Path(path).rglob("*.parquet"):
        if file.name not in {Path(name).name for name in DeltaTable(path).file_uris()}:
            file.unlink()
    published = read_publications(path)
    assert find_profile(workspace, "brands", published).profile == _measure(versions[1])
    kept = read_profile(workspace, "brands", 3)
    assert kept is not None and kept.version == 3


def test_only_files_that_changed_are_read(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    path = workspace.table("features/brands")
    publish_view(workspace, [brand_row(str(i)) for i in range(50)])
    find_profile(workspace, "brands", read_publications(path))
    publish_view(workspace, [brand_row("new", "JP")], mode="append")
    read = []

    def measure_and_note(batches: Iterable[pa.RecordBatch], columns: Any, key: Any) -> Profile:
        kept = list(batches)
        read.append(sum(batch.num_rows for batch in kept))
        return measure_rows(kept, columns, key)

    monkeypatch.setattr("m5model.features.profiles.measure_rows", measure_and_note)
    assert find_profile(workspace, "brands", read_publications(path)).profile.rows_by_locale == {"DE": 50, "JP": 1}
    assert read == [0, 1]


def test_a_profile_of_another_table_at_the_same_place_is_not_believed(workspace: Workspace) -> None:
    path = workspace.table("features/brands")
    publish_view(workspace, [brand_row("A")])
    find_profile(workspace, "brands", read_publications(path))
    Path(path).rename(f"{path}-away")
    publish_view(workspace, [brand_row("A"), brand_row("B")])
    assert find_profile(workspace, "brands", read_publications(path)).profile.rows == 2
