"""Upserts, deletes and history: what a later feed makes of the listings that an earlier one left.

One workspace tells all the cases: FEEDS are ingested one after the other, and the keys of each case begin with its own prefix.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from deltalake import DeltaTable

from m5model.files.lease import Lease
from schemas.errors import ConfigurationError
from schemas.workspace import Workspace
from spark.ingest.ingest import IngestResult, ingest_feed

DAYS = {day: f"2025-01-0{day}T00:00:00Z" for day in range(1, 10)}
Feed = tuple[dict[str, object] | bytes, ...]


def _record(item_id: str, day: int | None = None, **values: object) -> dict[str, object]:
    dated = {} if day is None else {"updated_at": DAYS[day]}
    return {"locale": "US", "item_id": item_id, "language": "en", "title": f"{item_id} sound", **dated, **values}


def _german(item_id: str, day: int, **values: object) -> dict[str, object]:
    return {**_record(item_id, day), "locale": "DE", "language": "de", **values}


def _british(item_id: str, day: int, **values: object) -> dict[str, object]:
    return {**_record(item_id, day), "locale": "UK", **values}


def _tombstone(item_id: str, day: int | None = None) -> dict[str, object]:
    dated = {} if day is None else {"updated_at": DAYS[day]}
    return {"locale": "US", "item_id": item_id, "deleted": True, **dated}


# What each feed holds, case by case.
FIRST: Feed = (
    *(_record(f"change-{name}", 1) for name in "abc"),
    *(_record(f"return-{name}", 3) for name in "abc"),
    *(_record(f"late-{name}", 5) for name in "ab"),
    _tombstone("early-a", 5),
    *(_record("order-a", 1), _tombstone("order-a", 2), _tombstone("order-b", 1), _record("order-b", 2)),
    *(_record("order-c", 1), _record("order-c", 1), _record("order-d")),
    *(_british(f"full-{name}", 1) for name in "abc"),
    *(_german(f"spared-{name}", 1) for name in "ab"),
)
SECOND: Feed = (
    *(_record("change-a", 1), _record("change-b", 2, title="new"), _tombstone("change-c", 2), _record("change-d", 2)),
    *(_tombstone("return-a", 5), _tombstone("return-c", 5)),
    *(_tombstone("late-a", 4), _tombstone("late-b")),
    _record("early-a", 4),
)
THIRD: Feed = (_record("return-a", 4), _record("return-b", 3), _record("return-c", 6, title="back"), _record("late-b", 6))
FULL: Feed = (
    *(_british("full-a", 1), _british("full-c", 2, title="t" * 2_001)),
    *(_german("spared-a", 1), {**_german("spared-b", 1), "item_id": 7.5}),
)
UNREADABLE: Feed = (_british("full-a", 1), _british("full-b", 1), b'{"locale":"UK","item_id":"full-c"')
FEEDS = (FIRST, SECOND, THIRD, FULL, UNREADABLE)
IS_FULL = (FULL, UNREADABLE)


@dataclass(frozen=True, kw_only=True)
class Step:
    """What an ingest of one of FEEDS did, and what it left."""

    result: IngestResult
    titles: dict[str, str]  # of the listings, by item
    changes: set[tuple[str, str]]  # (kind, item) of the change feed


@pytest.fixture(scope="module")
def steps(spark, tmp_path_factory: pytest.TempPathFactory) -> tuple[Step, ...]:
    folder = tmp_path_factory.mktemp("history")
    return tuple(_take_step(spark, folder, feed) for feed in FEEDS)


def _take_step(spark, folder: Path, feed: Feed) -> Step:
    log = folder / "workspace" / "listings" / "_delta_log"
    version = len(list(log.glob("*.json")))
    result = _ingest(spark, folder, feed, full=feed in IS_FULL)
    is_changed = len(list(log.glob("*.json"))) > version > 0
    return Step(result=result, titles=_titles(folder), changes=_changes(spark, folder, version) if is_changed else set())


def _ingest(spark, folder: Path, feed: Feed, *, full: bool = False) -> IngestResult:
    lines = [record if isinstance(record, bytes) else json.dumps(record).encode() for record in feed]
    number = len(list(folder.glob("*.jsonl")))
    file = folder / f"feed{number}.jsonl"
    file.write_bytes(b"\n".join(lines))
    workspace = Workspace(str(folder / "workspace"))
    result = ingest_feed(spark, workspace, [str(file)], run_id=f"run{number}", max_reject_share=1, full=full)
    result.accounting.verify("ingest")
    return result


@pytest.fixture
def ingest(spark, tmp_path: Path) -> Callable[..., IngestResult]:
    return lambda *feed, full=False: _ingest(spark, tmp_path, feed, full=full)


def _titles(folder: Path) -> dict[str, str]:
    rows = DeltaTable(str(folder / "workspace" / "listings")).to_pyarrow_table(columns=["item_id", "title"]).to_pylist()
    assert len(rows) == len({row["item_id"] for row in rows})
    return {row["item_id"]: row["title"] for row in rows}


def _changes(spark, folder: Path, since: int) -> set[tuple[str, str]]:
    path = str(folder / "workspace" / "listings")
    feed = spark.read.format("delta").option("readChangeFeed", "true").option("startingVersion", since).load(path)
    rows = [(row["_change_type"], row["item_id"]) for row in feed.select("_change_type", "item_id").collect()]
    assert len(rows) == len(set(rows))
    return set(rows)


def _of(case: str, step: Step) -> set[str]:
    """The listings of a case."""
    return {item for item in step.titles if item.startswith(case)}


def test_only_rows_whose_content_changed_are_in_the_change_feed(steps) -> None:
    second = steps[1]
    counts = (second.result.inserted, second.result.updated, second.result.deleted, second.result.accounting.unchanged)
    assert counts == (1, 1, 4, 1)
    assert {(kind, item) for kind, item in second.changes if item.startswith("change")} == {
        ("delete", "change-c"),
        ("insert", "change-d"),
        ("update_postimage", "change-b"),
        ("update_preimage", "change-b"),
    }
    assert second.result.languages == {"en": 2}


def test_a_record_older_than_its_deletion_stays_out_and_a_newer_one_returns(steps) -> None:
    assert {("delete", "return-a"), ("delete", "return-c")} <= steps[1].changes
    third = steps[2].result
    assert (third.inserted, third.accounting.superseded, third.accounting.unchanged) == (1, 2, 1)
    assert steps[2].changes == {("insert", "return-c")}
    assert _of("return", steps[2]) == {"return-b", "return-c"}
    assert steps[2].titles["return-c"] == "back"


def test_a_late_tombstone_does_not_delete_a_newer_listing_and_one_without_a_time_does(steps) -> None:
    assert _of("late", steps[1]) == {"late-a"}
    assert _of("late", steps[2]) == {"late-a"}, "a tombstone without a time is as of now"


def test_a_deletion_that_comes_before_its_listing_is_remembered(steps) -> None:
    assert _of("early", steps[0]) == _of("early", steps[1]) == set()
    assert steps[1].result.accounting.superseded == 2, "early-a and the tombstone of late-a"


def test_within_a_feed_the_newest_of_records_and_tombstones_stands_and_twins_count_once(steps) -> None:
    assert _of("order", steps[0]) == {"order-b", "order-c", "order-d"}
    first = steps[0].result
    assert (first.inserted, first.accounting.superseded, first.accounting.unchanged) == (16, 3, 2)
    assert first.languages == {"de": 2, "en": 14}


def test_a_full_feed_deletes_what_it_lacks_of_its_own_locales(steps) -> None:
    full = steps[3]
    assert (full.result.deleted_as_absent, full.result.accounting.written) == (1, 0)
    assert full.changes == {("delete", "full-b")}
    assert _of("full", full) == {"full-a", "full-c"}, "a rejected record is no absent listing"
    assert steps[4].result.accounting.superseded == 1, "what was deleted as absent stays out"


def test_a_full_feed_with_unreadable_records_deletes_nothing_and_says_so(steps) -> None:
    unreadable = steps[4]
    assert (unreadable.result.deleted_as_absent, unreadable.changes) == (0, set())
    assert "the locales of 1 rejected records of the full feed could not be made out" in unreadable.result.warnings[0]
    assert _of("full", unreadable) == {"full-a", "full-c"}


def test_a_full_feed_spares_the_locales_of_rejects_whose_item_is_unknown(steps) -> None:
    full = steps[3]
    assert dict(full.result.unknown_keys) == {"DE": 1}
    assert full.result.warnings == (
        "nothing of DE was deleted as absent: the items of 1 rejected records could not be made out",
    )
    assert _of("spared", full) == {"spared-a", "spared-b"}


def test_a_second_ingest_at_the_same_time_is_refused_and_told_who_is_at_work(ingest, tmp_path: Path) -> None:
    workspace = Workspace(str(tmp_path / "workspace"))
    with Lease(workspace.leases("listings"), "the-first"), pytest.raises(ConfigurationError, match="the-first"):
        ingest(_record("a", 1))


def test_each_commit_follows_a_check_of_the_lease(ingest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ingest(_record("a", 1), _record("b", 1))
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
