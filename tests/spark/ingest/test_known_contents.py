"""Records whose content a listing has are known by their hashes, and written as keys alone. Without Spark."""

import hashlib
import json
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from spark.ingest.judging.rules import Limits
from spark.ingest.reading.lines import JSON, Lines, Origin
from spark.ingest.staging import known_contents, worth_knowing
from spark.ingest.staging.accounts import FileTallies
from spark.ingest.staging.known_contents import ContentFiles, KnownContents
from spark.ingest.staging.stage import Stage
from spark.ingest.staging.tally import Tally
from spark.ingest.staging.workers import judge_batches
from spark.ingest.staging.worth_knowing import list_content_files


def _record(item_id: str, **values: object) -> bytes:
    return json.dumps({"locale": "US", "item_id": item_id, "title": f"a title {item_id}", **values}).encode()


def _stage(folder: Path, raw: list[bytes], stored: ContentFiles | None = None) -> tuple[dict, list[dict]]:
    """The report of a task, and the rows that it wrote with their state and locale."""
    origin = Origin(
        pa.array(["file:///a"] * len(raw)), pa.array(range(len(raw)), pa.int64()), pa.array([5] * len(raw), pa.int64())
    )
    lines = Lines(raw, [JSON] * len(raw), [None] * len(raw))
    batches = judge_batches(
        iter([(lines, origin)]),
        path=str(folder),
        run_id="r",
        ingested_at=datetime.now(UTC),
        limits=Limits(),
        stored_files=stored,
    )
    report = json.loads(pa.Table.from_batches(list(batches))["report"].drop_null()[0].as_py())
    rows = [
        {**file["partition"], **row}
        for file in report["files"]
        for row in pq.ParquetFile(folder / file["path"]).read().to_pylist()
    ]
    return report, rows


def _files_of(folder: Path, report: dict) -> ContentFiles:
    paths: dict[str, tuple[str, ...]] = {}
    for file in report["files"]:
        if file["partition"]["state"] == "listing":
            paths[file["partition"]["locale"]] = (*paths.get(file["partition"]["locale"], ()), str(folder / file["path"]))
    return ContentFiles(version=1, paths=paths, rows=dict.fromkeys(paths, 9))


def test_what_is_stored_is_known_whatever_its_place_and_spelling_and_all_else_is_written_whole(tmp_path: Path) -> None:
    first, rows = _stage(tmp_path / "1", [_record("1"), _record("2", locale="DE", description="d"), _record("3")])
    stored = _files_of(tmp_path / "1", first)
    again = [
        _record("3"),
        _record("9"),
        b'{ "title": "a title 2", "description":"d", "item_id":"2",  "locale": "de", "unknown": 1}',
        _record("1", title="another"),
        _record("3", deleted=True),
        _record("1", locale="UK"),
        b'{"locale":"US"}',
    ]
    report, found = _stage(tmp_path / "2", again, stored)
    states = {(row["state"], row["locale"], row["item_id"]) for row in found if row["state"] != "reject"}
    assert states == {
        ("known", "US", "3"),
        ("known", "DE", "2"),
        ("listing", "US", "9"),
        ("listing", "US", "1"),
        ("listing", "UK", "1"),
        ("tombstone", "US", "3"),
    }
    assert report["tally"]["known_by_locale"] == {"US": 1, "DE": 1}
    assert report["tallies"]["file:///a"]["known"] == {"records": 2, "size": 10}
    hashes = {(row["locale"], row["item_id"]): row["content_hash"] for row in rows}
    assert all(row["content_hash"] == hashes[row["locale"], row["item_id"]] for row in found if row["state"] == "known")
    assert "title" not in next(row for row in found if row["state"] == "known")
    assert sum(report["tally"]["languages"].values()) == 3, "languages are counted of what is written"


def test_no_other_hash_is_known_though_it_begins_like_one(tmp_path: Path) -> None:
    digests = [hashlib.sha256(str(i).encode()).digest() for i in range(300)]
    pq.write_table(
        pa.table({"content_hash": [digest.hex() for digest in digests[:200]]}), tmp_path / "a.parquet", row_group_size=64
    )
    alike = [digests[0][:8] + bytes(24), digests[0][:12] + bytes(20), bytes(8) + digests[0][8:]]
    files = ContentFiles(version=1, paths={"US": (str(tmp_path / "a.parquet"),)}, rows={"US": 200})
    known = KnownContents(files).find(["US"] * 303 + ["DE"], [*digests, *alike, digests[0]])
    assert np.flatnonzero(known).tolist() == list(range(200))


def test_a_worker_holds_no_more_hashes_than_it_may(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    digest = hashlib.sha256().digest()
    pq.write_table(pa.table({"content_hash": [digest.hex()] * 3}), tmp_path / "a.parquet")
    files = ContentFiles(version=1, paths=dict.fromkeys(("US", "DE"), (str(tmp_path / "a.parquet"),)), rows={"US": 3, "DE": 3})
    monkeypatch.setattr(known_contents, "MAX_KNOWN_ROWS", 5)
    assert Counter(KnownContents(files).find(["US", "DE"], [digest] * 2).tolist()) == {True: 1, False: 1}


def test_hashes_are_read_of_locales_that_are_not_large_beside_the_feed(monkeypatch: pytest.MonkeyPatch) -> None:
    found = {"DE": [("a", 3), ("b", 2)], "US": [("c", 50)]}
    monkeypatch.setattr(worth_knowing, "list_files_by", lambda path, column: (7, found))
    files = ContentFiles(version=7, paths={"DE": ("a", "b")}, rows={"DE": 5})
    assert list_content_files("listings", 49 * known_contents.FEED_BYTES_PER_ROW) == files
    assert list_content_files("listings", 4 * known_contents.FEED_BYTES_PER_ROW) is None


def test_a_locale_is_unchanged_where_each_of_its_listings_is_known_once() -> None:
    tally = Tally(listings=6, known_by_locale=Counter({"DE": 3, "US": 2}))
    files = ContentFiles(version=1, paths={}, rows={"DE": 3, "US": 4, "FR": 1})
    stage = Stage(
        path="", started_at=datetime.now(UTC), records=Any, repeated=None, tally=tally, tallies=FileTallies(), stored=files
    )
    assert stage.unchanged_locales == {"DE"}
    assert replace(stage, repeated=Any).unchanged_locales == frozenset(), "some may be known twice"
    assert replace(stage, stored=None).unchanged_locales == frozenset()
