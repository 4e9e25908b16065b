"""Rejects run again: those that pass leave the table for listings, the others keep raw bytes and reasons."""

import json
from pathlib import Path

import pytest
from deltalake import DeltaTable

from schemas.errors import ConfigurationError
from schemas.workspace import Workspace
from spark.ingest.ingest import ingest_feed
from spark.ingest.judging.rules import Limits
from spark.ingest.replay import replay_rejects

STRICT = Limits(title=12)


def _rows(workspace: Workspace, table: str) -> list[dict]:
    return DeltaTable(workspace.table(table)).to_pyarrow_table().to_pylist()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("replay")


@pytest.fixture(scope="module")
def workspace(spark, folder: Path) -> Workspace:
    """One sound record, and under STRICT five rejects: three by their titles, two for good, in JSON Lines and in CSV."""
    records = [
        {"locale": "US", "item_id": "short", "title": "red shirt", "language": "en", "updated_at": "2021-01-01T00:00:00Z"},
        {"locale": "US", "item_id": "long", "title": "a comfortable red shirt", "language": "en", "bullets": ["soft"]},
        {
            "locale": "US",
            "item_id": "short",
            "title": "an older red shirt",
            "language": "en",
            "updated_at": "2020-01-01T00:00:00Z",
        },
        {"locale": "XX", "item_id": "bad", "title": "red shirt"},
    ]
    (folder / "feed").mkdir()
    (folder / "feed" / "a.jsonl").write_text("\n".join(map(json.dumps, records)), encoding="utf-8")
    rows = [
        "locale,item_id,language,title,bullets",
        'DE,csv,de,"Stehlampe, Messing","[""dimmbar"",""hoch""]"',
        "DE,odd,de,Lampe,[1",
    ]
    (folder / "feed" / "b.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    workspace = Workspace(str(folder / "workspace"))
    result = ingest_feed(spark, workspace, [str(folder / "feed")], run_id="first", max_reject_share=1, limits=STRICT)
    assert (result.inserted, result.accounting.rejected) == (1, 5)
    return workspace


def test_rejects_that_pass_now_become_listings_and_the_others_stay(spark, workspace: Workspace) -> None:
    before = {row["reject_id"]: row for row in _rows(workspace, "listing_rejects")}
    result = replay_rejects(spark, workspace, run_id="again")
    result.accounting.verify("replay_rejects")
    assert (result.accounting.rows_in, result.inserted, result.accounting.superseded, result.accounting.rejected) == (
        5,
        2,
        1,
        2,
    )
    listings = {row["item_id"]: row for row in _rows(workspace, "listings")}
    assert {name: row["title"] for name, row in listings.items()} == {
        "short": "red shirt",
        "long": "a comfortable red shirt",
        "csv": "Stehlampe, Messing",
    }
    assert (listings["long"]["bullets"], listings["csv"]["bullets"]) == (["soft"], ["dimmbar", "hoch"])
    kept = _rows(workspace, "listing_rejects")
    assert sorted(row["reasons"] for row in kept) == [["unknown_locale"], ["wrong_type"]]
    assert all(row == before[row["reject_id"]] for row in kept), "raw bytes, file and time of the first rejection are kept"


def test_only_the_reasons_asked_for_are_replayed_and_what_is_rejected_again_stays(spark, workspace: Workspace) -> None:
    before = {row["reject_id"]: row for row in _rows(workspace, "listing_rejects")}
    replayed = replay_rejects(spark, workspace, run_id="again", reasons=["unknown_locale"]).accounting
    assert (replayed.rows_in, replayed.rejected, replayed.written) == (1, 1, 0)
    assert {row["reject_id"]: row for row in _rows(workspace, "listing_rejects")} == before
    with pytest.raises(ConfigurationError, match="title_too_long"):
        replay_rejects(spark, workspace, run_id="again", reasons=["too_long"])
