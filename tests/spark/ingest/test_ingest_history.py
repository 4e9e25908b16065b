"""Upserts, deletes and history: what a later feed makes of the listings that an earlier one left."""

import json
from pathlib import Path

import pytest
from deltalake import DeltaTable

from m5model.files.lease import Lease
from schemas.errors import ConfigurationError
from schemas.workspace import Workspace
from spark.ingest.ingest import IngestResult, ingest_feed

DAYS = {day: f"2025-01-0{day}T00:00:00Z" for day in range(1, 10)}


def _record(item_id: str, day: int | None = None, **values: object) -> dict[str, object]:
    dated = {} if day is None else {"updated_at": DAYS[day]}
    return {"locale": "US", "item_id": item_id, "language": "en", "title": f"{item_id} sound", **dated, **values}


def _tombstone(item_id: str, day: int | None = None) -> dict[str, object]:
    dated = {} if day is None else {"updated_at": DAYS[day]}
    return {"locale": "US", "item_id": item_id, "deleted": True, **dated}


@pytest.fixture
def ingest(spark, tmp_path: Path):
    def run(*records: dict[str, object] | bytes, full: bool = False) -> IngestResult:
        lines = [record if isinstance(record, bytes) else json.dumps(record).encode() for record in records]
        number = len(list(tmp_path.glob("*.jsonl")))
        feed = tmp_path / f"feed{number}.jsonl"
        feed.write_bytes(b"\n".join(lines))
        workspace = Workspace(str(tmp_path / "workspace"))
        result = ingest_feed(spark, workspace, [str(feed)], run_id=f"run{number}", max_reject_share=1, full=full)
        result.accounting.verify("ingest")
        return result

    return run


def _titles(tmp_path: Path) -> dict[str, str]:
    rows = DeltaTable(str(tmp_path / "workspace" / "listings")).to_pyarrow_table(columns=["item_id", "title"]).to_pylist()
    assert len(rows) == len({row["item_id"] for row in rows})
    return {row["item_id"]: row["title"] for row in rows}


def _changes(spark, tmp_path: Path, since: int) -> list[tuple[str, str]]:
    path = str(tmp_path / "workspace" / "listings")
    feed = spark.read.format("delta").option("readChangeFeed", "true").option("startingVersion", since).load(path)
    return sorted((row["_change_type"], row["item_id"]) for row in feed.collect())


def test_a_second_ingest_at_the_same_time_is_refused_and_told_who_is_at_work(ingest, tmp_path: Path) -> None:
    workspace = Workspace(str(tmp_path / "workspace"))
    with Lease(workspace.leases("listings"), "the-first"), pytest.raises(ConfigurationError, match="the-first"):
        ingest(_record("a", 1))
    assert ingest(_record("a", 1)).inserted == 1


def test_only_rows_whose_content_changed_are_in_the_change_feed(spark, ingest, tmp_path: Path) -> None:
    feed = [_record("a", 1), _record("b", 1), _record("c", 1)]
    ingest(*feed)
    before = DeltaTable(str(tmp_path / "workspace" / "listings")).version()
    unchanged = ingest(*feed)
    assert (unchanged.accounting.unchanged, unchanged.accounting.written) == (3, 0)
    assert DeltaTable(str(tmp_path / "workspace" / "listings")).version() == before
    changed = ingest(_record("a", 1), _record("b", 2, title="new"), _tombstone("c", 2), _record("d", 2))
    assert (changed.inserted, changed.updated, changed.deleted, changed.accounting.unchanged) == (1, 1, 1, 1)
    assert _changes(spark, tmp_path, before + 1) == [
        ("delete", "c"),
        ("insert", "d"),
        ("update_postimage", "b"),
        ("update_preimage", "b"),
    ]


def test_a_record_older_than_its_deletion_stays_out_and_a_newer_one_returns(ingest, tmp_path: Path) -> None:
    ingest(_record("a", 3), _record("b", 3))
    assert ingest(_tombstone("a", 5)).deleted == 1
    late = ingest(_record("a", 4), _record("b", 3))
    assert (late.accounting.superseded, late.accounting.unchanged) == (1, 1)
    assert set(_titles(tmp_path)) == {"b"}
    assert ingest(_record("a", 6, title="back")).inserted == 1
    assert _titles(tmp_path)["a"] == "back"


def test_a_late_tombstone_does_not_delete_a_newer_listing_and_one_without_a_time_does(ingest, tmp_path: Path) -> None:
    ingest(_record("a", 5), _record("b", 5))
    assert ingest(_tombstone("a", 4), _tombstone("b")).accounting.superseded == 1
    assert set(_titles(tmp_path)) == {"a"}
    assert ingest(_record("b", 6)).accounting.superseded == 1, "a tombstone without a time is as of now"


def test_a_deletion_that_comes_before_its_listing_is_remembered(ingest, tmp_path: Path) -> None:
    assert ingest(_tombstone("a", 5), _record("b", 1)).accounting.unchanged == 1
    assert ingest(_record("a", 4), _record("b", 1)).accounting.superseded == 1
    assert set(_titles(tmp_path)) == {"b"}


def test_within_a_feed_the_newest_of_records_and_tombstones_stands_and_twins_count_once(ingest, tmp_path: Path) -> None:
    result = ingest(
        _record("a", 1), _tombstone("a", 2), _tombstone("b", 1), _record("b", 2), _record("c", 1), _record("c", 1), _record("d")
    )
    assert set(_titles(tmp_path)) == {"b", "c", "d"}
    assert (result.inserted, result.accounting.superseded, result.accounting.unchanged) == (3, 3, 1)


def test_a_full_feed_deletes_what_it_lacks_of_its_own_locales(ingest, tmp_path: Path) -> None:
    german = {**_record("g", 1), "locale": "DE", "language": "de"}
    ingest(_record("a", 1), _record("b", 1), _record("c", 1), german)
    bad = _record("c", 2, title="t" * 2_001)
    result = ingest(_record("a", 1), bad, full=True)
    assert (result.deleted_as_absent, result.accounting.written) == (1, 0)
    assert set(_titles(tmp_path)) == {"a", "c", "g"}, "a rejected record is no absent listing"
    assert ingest(_record("b", 1)).accounting.superseded == 1


def test_a_full_feed_with_unreadable_records_deletes_nothing_and_says_so(ingest, tmp_path: Path) -> None:
    ingest(_record("a", 1), _record("b", 1))
    result = ingest(_record("a", 1), b'{"locale":"US","item_id":"b"', full=True)
    assert result.deleted_as_absent == 0
    assert "the locales of 1 rejected records of the full feed could not be made out" in result.warnings[0]
    assert set(_titles(tmp_path)) == {"a", "b"}


def test_a_full_feed_spares_the_locales_of_rejects_whose_item_is_unknown(ingest, tmp_path: Path) -> None:
    german = {"locale": "DE", "language": "de"}
    ingest(_record("a", 1), _record("b", 1), {**_record("g", 1), **german}, {**_record("h", 1), **german})
    result = ingest(_record("a", 1), {**_record("g", 1), **german}, {**_record("h", 1), **german, "item_id": 7.5}, full=True)
    assert (result.deleted_as_absent, dict(result.unknown_keys)) == (1, {"DE": 1})
    assert result.warnings == ("nothing of DE was deleted as absent: the items of 1 rejected records could not be made out",)
    assert set(_titles(tmp_path)) == {"a", "g", "h"}


def test_each_commit_follows_a_check_of_the_lease(ingest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ingest(_record("a", 1), _record("b", 1), _record("c", 1))
    tables = [tmp_path / "workspace" / name / "_delta_log" for name in ("listings", "listing_rejects", "listing_tombstones")]

    def commits() -> int:
        return sum(len(list(table.glob("*.json"))) for table in tables)

    checks: list[int] = []
    monkeypatch.setattr(Lease, "check", lambda _: checks.append(commits()))
    ingest(_record("a", 2), _tombstone("b", 2), _record("d", 1, title=""))
    made = commits() - 1  # a table of tombstones, empty, which harms nobody
    assert [seen - checks[0] for seen in checks] == [0, 1, 3], "rejects, tombstones (made, then filled), listings"
    assert made - checks[0] == len(checks)

    def lost(_: Lease) -> None:
        raise ConfigurationError("lost")

    monkeypatch.setattr(Lease, "check", lost)
    before = commits()
    with pytest.raises(ConfigurationError, match="lost"):
        ingest(_record("a", 3))
    assert commits() == before


def test_languages_of_locales_with_several_are_detected_and_disagreement_only_warns(ingest, tmp_path: Path) -> None:
    texts = {
        ("AE", "ar"): "قميص قطني أحمر للرجال مريح وأنيق",
        ("AE", "en"): "Comfortable red cotton shirt for men with short sleeves",
        ("SA", "ar"): "سماعات لاسلكية مع علبة شحن وصوت نقي",
        ("CA", "fr"): "Chemise rouge en coton pour homme avec des manches courtes",
        ("CA", "en"): "Wireless headphones with a charging case and clear sound",
        ("NL", "nl"): "Roestvrijstalen waterkoker met temperatuurregeling voor thee",
        ("NL", "en"): "Stainless steel kettle with temperature control for your tea",
    }
    detected = [{"locale": locale, "item_id": language, "title": title} for (locale, language), title in texts.items()]
    declared = [
        _record("script", title="قميص قطني أحمر للرجال"),
        {**_record("foreign", title="Schöne Lampe"), "locale": "NL", "language": "de"},
        {**_record("latin", title="Canon EOS camera"), "locale": "JP", "language": "ja"},
    ]
    assert ingest(*detected, *declared).inserted == len(texts) + 3
    rows = DeltaTable(str(tmp_path / "workspace" / "listings")).to_pyarrow_table().to_pylist()
    found = {(row["locale"], row["language"]) for row in rows if row["language_source"] == "detected"}
    assert found == set(texts)
    assert all(row["language_confidence"] > 0.5 and not row["warnings"] for row in rows if row["language_source"] == "detected")
    warned = {row["item_id"]: (row["warnings"], row["language_confidence"]) for row in rows if row["item_id"] in _WARNED}
    assert warned == _WARNED


_WARNED = {
    "script": (["language_disagrees"], None),
    "foreign": (["language_not_of_locale"], None),
    "latin": (["language_disagrees"], None),
}
