"""The facts of a site: from the logs' statistics, whatever the number of rows, and the same for any layout of the same rows."""

import json
import random
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable

from m5model.reports.site.embedding_sample import draw_space
from m5model.reports.site.languages_of_listings import count_languages
from m5model.reports.site.spaces import count_spaces
from m5model.reports.site.tables import OpenTable, describe_table
from m5model.reports.site.views import describe_view
from schemas.errors import BadDataError
from schemas.workspace import Workspace
from tests.m5model.features.views import OLD_SPACE, SPACE, brand_row, publish_view
from tests.m5model.reports import small_workspace as small


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(str(tmp_path / "workspace"))


def _claim_rows(table: Path, rows: int) -> None:
    """Let the log state that every file has so many rows."""
    for log in (table / "_delta_log").glob("*.json"):
        actions = [json.loads(line) for line in log.read_text().splitlines()]
        for action in actions:
            if "add" in action:
                stats = json.loads(action["add"]["stats"]) | {"numRecords": rows}
                action["add"]["stats"] = json.dumps(stats)
        log.write_text("".join(json.dumps(action) + "\n" for action in actions))


def test_rows_are_those_of_the_log_and_languages_of_a_large_table_those_of_a_sample(workspace: Workspace) -> None:
    small.write_listings(workspace, small.listing_rows(30))
    _claim_rows(Path(workspace.table("listings")), 1_000_000_000)
    table = OpenTable(workspace.table("listings"))
    facts = describe_table("listings", table)
    assert facts.rows == 3_000_000_000
    assert facts.rows_by_locale == dict.fromkeys(sorted(small.LANGUAGES), 1_000_000_000)
    languages = count_languages(table)
    assert (languages.is_whole, languages.of_rows) == (False, 30)
    assert languages.by_locale == {locale: {small.LANGUAGES[locale]: 10} for locale in sorted(small.LANGUAGES)}


def test_languages_of_a_table_that_is_small_enough_are_counted_whole(workspace: Workspace) -> None:
    rows = small.listing_rows(30)
    rows[0]["language"] = "fr"
    small.write_listings(workspace, rows[:20])
    small.write_listings(workspace, rows[20:])
    languages = count_languages(OpenTable(workspace.table("listings")))
    assert languages.is_whole
    assert languages.by_locale["US"] == {"en": 9, "fr": 1}
    assert languages.by_language == {"ar": 10, "de": 10, "en": 9, "fr": 1}


def test_a_table_without_statistics_says_that_its_rows_are_not_known(workspace: Workspace) -> None:
    small.write_listings(workspace, small.listing_rows(9))
    log = Path(workspace.table("listings"), "_delta_log", f"{0:020d}.json")
    actions = [json.loads(line) for line in log.read_text().splitlines()]
    next(action for action in actions if "add" in action)["add"].pop("stats")
    log.write_text("".join(json.dumps(action) + "\n" for action in actions))
    facts = describe_table("listings", OpenTable(workspace.table("listings")))
    assert (facts.rows, facts.rows_by_locale) == (None, {})


@pytest.mark.parametrize("change", ["overwrite", "delete", "vacuum", "optimize"])
def test_what_is_no_longer_in_the_table_is_not_counted(workspace: Workspace, change: str) -> None:
    path = workspace.table("listings")
    small.write_listings(workspace, small.listing_rows(30))
    small.write_listings(workspace, small.listing_rows(30, first=30))
    at = describe_table("listings", OpenTable(path)).at
    if change == "overwrite":
        small.write_listings(workspace, small.listing_rows(6), mode="overwrite")
    elif change == "delete":
        DeltaTable(path).delete("item_id >= 'I0006'")
    elif change == "vacuum":
        DeltaTable(path).vacuum(0, dry_run=False, enforce_retention_duration=False)
    else:
        DeltaTable(path).optimize.compact()
    facts = describe_table("listings", OpenTable(path))
    assert facts.rows == (6 if change in ("overwrite", "delete") else 60)
    if change in ("vacuum", "optimize"):
        assert facts.at == at, "maintenance changes no rows"


def test_a_view_waits_from_the_first_change_that_it_does_not_show(workspace: Workspace) -> None:
    path = workspace.table("listings")
    small.write_listings(workspace, small.listing_rows(6))
    publish_view(workspace, [brand_row("I0001")], listings=0)
    assert (describe_view(workspace, "brands").waits_since, describe_view(workspace, "brands").due) == ("", "")
    DeltaTable(path).optimize.compact()
    assert describe_view(workspace, "brands").waits_since == "", "maintenance is no change"
    small.write_listings(workspace, small.listing_rows(3, first=6))
    first = describe_view(workspace, "brands")
    small.write_listings(workspace, small.listing_rows(3, first=9))
    again = describe_view(workspace, "brands")
    assert first.waits_since == again.waits_since != ""
    day, hour = first.waits_since[:10], first.waits_since[10:]
    assert first.due[10:] == hour
    assert first.due[:10] > day, "24 hours later"
    publish_view(workspace, [brand_row("I0001")], listings=DeltaTable(path).version())
    assert describe_view(workspace, "brands").waits_since == ""


def test_a_view_shows_its_nulls_its_versions_and_what_it_was_made_from(workspace: Workspace) -> None:
    small.write_listings(workspace, small.listing_rows(6))
    publish_view(workspace, [brand_row("I0001"), brand_row("I0002", brand=None)], listings=0)
    publish_view(workspace, [brand_row("I0001", brand=None)] * 3, listings=0)
    view = describe_view(workspace, "brands")
    assert {column.name: column.nulls for column in view.columns if column.name in ("brand", "score")} == {
        "brand": 3,
        "score": 0,
    }
    assert [(one.number, one.operation) for one in view.published] == [(1, "publish"), (0, "publish")]
    assert (view.space_id, view.listings_version, view.owner) == (SPACE, 0, "brand-classification")


def test_spaces_are_counted_by_statistics_and_by_reading_files_that_hold_two(workspace: Workspace) -> None:
    rows = small.listing_rows(40)
    old = small.embedding_rows(rows[:24], OLD_SPACE)
    small.write_embeddings(workspace, small.embedding_rows(rows))
    assert count_spaces(OpenTable(workspace.table("embeddings"))) == ({SPACE: 40}, True)
    small.write_embeddings(workspace, [*small.embedding_rows(rows), *old], mode="overwrite")
    assert count_spaces(OpenTable(workspace.table("embeddings"))) == ({SPACE: 40, OLD_SPACE: 24}, True)


def _map(workspace: Workspace, space: str = SPACE) -> Any:
    found = draw_space(OpenTable(workspace.table("embeddings")), space, 60, OpenTable(workspace.table("listings")))
    assert found is not None
    return found


def test_the_map_is_the_same_however_the_rows_lie_in_files(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("m5model.reports.site.embedding_sample.SHOWN", 20)
    rows = small.listing_rows(60)
    small.write_listings(workspace, rows)
    embedded = small.embedding_rows(rows) + small.embedding_rows(rows, OLD_SPACE, seed=1)
    small.write_embeddings(workspace, embedded)
    one = _map(workspace)
    random.Random(3).shuffle(embedded)
    small.write_embeddings(workspace, embedded[:50], mode="overwrite")
    for first in range(50, len(embedded), 7):
        small.write_embeddings(workspace, embedded[first : first + 7])
    two = _map(workspace)
    assert len(one.listings) == 20
    assert one.listings == two.listings
    assert one.projection == two.projection
    assert _map(workspace, OLD_SPACE).projection.points != one.projection.points
    assert {listing.language for listing in one.listings} == set(small.LANGUAGES.values())


def test_the_sample_is_drawn_from_whole_buckets_and_no_more_of_them_than_it_takes(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("m5model.reports.site.embedding_sample.SHOWN", 20)
    rows = small.listing_rows(60)
    small.write_listings(workspace, rows)
    small.write_embeddings(workspace, small.embedding_rows(rows))
    found = _map(workspace)
    assert found.read_rows == 30, "two buckets of fifteen"
    assert {int(listing.item_id[1:]) % 4 for listing in found.listings} == {0, 1}


def test_vectors_of_listings_that_are_gone_are_shown_by_their_keys(workspace: Workspace) -> None:
    rows = small.listing_rows(12)
    small.write_listings(workspace, rows[:6])
    small.write_embeddings(workspace, small.embedding_rows(rows))
    titles = {listing.item_id: listing.title for listing in _map(workspace).listings}
    assert titles["I0011"] == "I0011"
    assert titles["I0000"] == small.TITLES["US"][0]


def test_vectors_of_two_lengths_in_one_space_are_an_error_with_a_name(workspace: Workspace) -> None:
    rows = small.listing_rows(12)
    embedded = small.embedding_rows(rows)
    embedded[3]["vector"] = [1.0, 0.0]
    small.write_listings(workspace, rows)
    small.write_embeddings(workspace, embedded)
    with pytest.raises(BadDataError, match=r"\[2, 8\] dimensions"):
        _map(workspace)


def test_too_few_vectors_make_no_map(workspace: Workspace) -> None:
    small.write_embeddings(workspace, small.embedding_rows(small.listing_rows(2)))
    assert draw_space(OpenTable(workspace.table("embeddings")), SPACE, 2, None) is None
