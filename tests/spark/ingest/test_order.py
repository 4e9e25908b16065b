"""Which record of a key wins: the same in one feed as in several, by time, file and place."""

import itertools
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable
from pyspark.sql import DataFrame

from m5model.feeds import physical_lines
from m5model.feeds.sources import JSON, FeedFile
from m5model.feeds.splits import Split
from schemas.workspace import Workspace
from spark.ingest.deciding.ranking import decide_outcomes, mark_single
from spark.ingest.ingest import ingest_feed
from spark.ingest.staging.accounts import FileTallies
from spark.ingest.staging.workers import _read_split

TIMES = (None, "2020-01-01T00:00:00Z", "2021-01-01T00:00:00Z")
KINDS = tuple(itertools.product(TIMES, (False, True)))  # (time, is a tombstone)
CASES = tuple(itertools.product(KINDS, repeat=3))


def _record(case: int, step: int) -> dict[str, object]:
    time, is_tombstone = CASES[case][step]
    record: dict[str, object] = {"locale": "US", "item_id": f"{case:03}", "language": "en", "title": f"title {step}"}
    return record | ({"updated_at": time} if time else {}) | ({"deleted": True} if is_tombstone else {})


def _expected(case: int) -> str | None:
    """The latest: without a time over any time, of the same time a deletion over a record, else the later line."""
    latest = max(
        range(3), key=lambda step: (CASES[case][step][0] or "now", bool(CASES[case][step][0]) and CASES[case][step][1], step)
    )
    return None if CASES[case][latest][1] else f"title {latest}"


def _cases() -> range:
    return range(len(CASES))


@dataclass(frozen=True, kw_only=True)
class Tables:
    """Listings and tombstones by item, as a run that commits what is decided leaves them."""

    listings: dict[str, dict] = field(default_factory=dict)
    tombstones: dict[str, dict] = field(default_factory=dict)

    def take(self, spark, step: int, as_of: int | None = None) -> set[str]:
        """Decide and commit one step of all CASES. Returns the outcomes that occur."""
        now = datetime(2026, 1, 1 + (step if as_of is None else as_of), tzinfo=UTC)
        decided = decide_outcomes(mark_single(_entries(spark, step)), *self._frames(spark)).collect()
        for row in decided:
            item, time = row["item_id"], row["updated_at"] and row["updated_at"].astimezone(UTC)
            if row["outcome"] in ("inserted", "updated"):
                self.listings[item] = {"step": step, "updated_at": time, "ingested_at": now}
            elif row["outcome"] == "deleted":
                del self.listings[item]
            if row["is_new_tombstone"]:
                self.tombstones[item] = {"deleted_at": time or now, "recorded_at": now}
        return {row["outcome"] for row in decided}

    def _frames(self, spark) -> tuple[DataFrame, DataFrame]:
        listings = [(item, row["updated_at"], row["ingested_at"], f"step {row['step']}") for item, row in self.listings.items()]
        stored = spark.createDataFrame(
            listings, "item_id string, updated_at timestamp, ingested_at timestamp, content_hash string"
        )
        deleted = [(item, row["deleted_at"], row["recorded_at"]) for item, row in self.tombstones.items()]
        tombstones = spark.createDataFrame(deleted, "item_id string, deleted_at timestamp, recorded_at timestamp")
        return stored.selectExpr("'US' AS locale", "*"), tombstones.selectExpr("'US' AS locale", "*")


def _entries(spark, step: int) -> DataFrame:
    times = [time and datetime.fromisoformat(time) for time, _ in (CASES[case][step] for case in _cases())]
    rows = [(f"{case:03}", times[case], CASES[case][step][1]) for case in _cases()]
    entries = spark.createDataFrame(rows, "item_id string, updated_at timestamp, is_tombstone boolean")
    return entries.selectExpr("'US' AS locale", "*", f"'step {step}' AS content_hash", "CAST(NULL AS timestamp) AS received_at")


def _titles(workspace: Workspace) -> dict[str, str]:
    rows = DeltaTable(workspace.table("listings")).to_pyarrow_table(columns=["item_id", "title"]).to_pylist()
    return {row["item_id"]: row["title"] for row in rows}


def test_records_and_deletions_of_a_key_give_the_same_in_one_feed_as_one_by_one(spark, tmp_path: Path) -> None:
    """At once by a whole ingest; one by one by what is decided, in tables that stay in memory (FEEDS of test_ingest_history.py
    go through whole ingests one by one)."""
    (tmp_path / "feed.jsonl").write_text("\n".join(json.dumps(_record(case, step)) for step in range(3) for case in _cases()))
    workspace = Workspace(str(tmp_path / "at_once"))
    ingest_feed(spark, workspace, [str(tmp_path / "feed.jsonl")], run_id="whole").accounting.verify("whole")
    expected = {f"{case:03}": title for case in _cases() if (title := _expected(case))}
    assert _titles(workspace) == expected
    tables = Tables()
    for step in range(3):
        tables.take(spark, step)
    assert {item: f"title {listing['step']}" for item, listing in tables.listings.items()} == expected
    assert tables.take(spark, 2, as_of=3) == {"unchanged", "superseded"}


def test_the_last_row_of_the_last_file_wins_in_every_format(spark, tmp_path: Path) -> None:
    feed = tmp_path / "feed"
    feed.mkdir()
    rows = [{"locale": "US", "item_id": f"i{i % 20}", "language": "en", "title": f"title {i:04}"} for i in range(400)]
    for name in ("json", "csv", "parquet", "files"):
        named = [{**row, "item_id": f"{name}-{row['item_id']}"} for row in rows]
        if name == "json":
            (feed / "a.jsonl").write_text("\n".join(map(json.dumps, named)))
        if name == "csv":
            lines = [",".join(named[0]), *(",".join(row.values()) for row in named)]
            (feed / "b.csv").write_text("\n".join(lines))
        if name == "parquet":
            pq.write_table(pa.Table.from_pylist(named), feed / "c.parquet", row_group_size=30)
        if name == "files":
            for part, part_of in enumerate((named[:200], named[200:])):
                (feed / f"d{part}.ndjson").write_text("\n".join(map(json.dumps, part_of)))
    workspace = Workspace(str(tmp_path / "w"))
    assert ingest_feed(spark, workspace, [str(feed)], run_id="one").inserted == 80
    expected = {f"{name}-i{i}": f"title {380 + i:04}" for name in ("json", "csv", "parquet", "files") for i in range(20)}
    assert _titles(workspace) == expected


@pytest.mark.parametrize("pieces", [1, 2, 7, 40])
def test_places_grow_from_line_to_line_however_a_file_is_cut(
    tmp_path: Path, pieces: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(physical_lines, "BLOCK_BYTES", 16)
    lines = [b"x" * (i * 7 % 23) for i in range(60)]
    path = tmp_path / "feed.jsonl"
    path.write_bytes(b"\n".join(lines))
    size = path.stat().st_size
    ends = [size * piece // pieces for piece in range(pieces + 1)]
    found, tallies, file = {}, FileTallies(), FeedFile(path=str(path), kind=JSON, size=size)
    for start, end in reversed(list(itertools.pairwise(ends))):
        for read, origin in _read_split(Split(file=file, start=start, end=end), tallies):
            found |= dict(zip(origin.places.to_pylist(), read.raw, strict=True))
    assert [found[place] for place in sorted(found)] == [line for line in lines if line]
    assert (tallies[file.uri].total, sum(tallies[file.uri].other.values())) == (size, 59)


def test_a_replayed_record_without_a_time_is_as_of_its_rejection(spark) -> None:
    early, middle, late = (datetime(2025, month, 1, tzinfo=UTC) for month in (1, 2, 3))
    stored = [("newer", late, None), ("older", early, None), ("dated", early, late)]
    listings = spark.createDataFrame(stored, "item_id string, ingested_at timestamp, updated_at timestamp")
    listings = listings.selectExpr("'US' AS locale", "*", "'a' AS content_hash")
    columns = "'US' AS locale", "*", "CAST(NULL AS timestamp) AS updated_at", "'b' AS content_hash", "false AS is_tombstone"
    entries = spark.createDataFrame([(row[0], middle) for row in stored], "item_id string, received_at timestamp")
    outcomes = decide_outcomes(mark_single(entries.selectExpr(*columns)), listings, None).collect()
    assert {row["item_id"]: row["outcome"] for row in outcomes} == {
        "newer": "superseded",
        "older": "updated",
        "dated": "superseded",
    }
