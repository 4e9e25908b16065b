"""What a task of the pass writes and reports, without Spark."""

import gzip
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from m5model.feeds.blocks import Block
from m5model.feeds.sources import find_feed_files
from m5model.feeds.splits import Split
from schemas.errors import BadDataError, GateRefusedError
from schemas.feed_account import verify_accounts
from schemas.tables import TEXT_MAP
from spark.ingest.judging.judge import judge_lines
from spark.ingest.judging.rules import Limits
from spark.ingest.reading.lines import JSON, Lines, Origin
from spark.ingest.staging import workers
from spark.ingest.staging.accounts import FileTallies
from spark.ingest.staging.arrow_columns import as_array
from spark.ingest.staging.keys import hash_keys
from spark.ingest.staging.stage import _raise_error
from spark.ingest.staging.workers import TASK_ROWS, judge_batches, judge_splits

LISTING = b'{"locale":"US","item_id":"1","title":"a title","attributes":{"b":"2","a":"1"}}'
TOMBSTONE = b'{"locale":"DE","item_id":"2","deleted":true}'
REJECT = b'{"locale":"US","item_id":"3"}'


@pytest.mark.parametrize(
    ("batches", "keys"),
    [
        ([[LISTING]], [("US", "1")]),
        ([[REJECT, REJECT]], []),
        ([[TOMBSTONE]], [("DE", "2")]),
        ([[REJECT, LISTING, TOMBSTONE], [TOMBSTONE, LISTING]], [("US", "1"), ("DE", "2"), ("DE", "2"), ("US", "1")]),
        ([], []),
    ],
)
def test_a_task_reports_its_files_and_the_keys_of_good_records(tmp_path: Path, batches: list[list[bytes]], keys: list) -> None:
    feed = (
        (Lines(raw, [JSON] * n, [None] * n), Origin(pa.array(["file:///feed.jsonl"] * n), pa.array(range(n), pa.int64())))
        for raw, n in ((raw, len(raw)) for raw in batches)
    )
    returned = list(judge_batches(feed, path=str(tmp_path), run_id="run", ingested_at=datetime.now(UTC), limits=Limits()))
    rows = pa.Table.from_batches(returned, TASK_ROWS)
    assert rows["key_hash"].drop_null().to_pylist() == (hash_keys(*zip(*keys, strict=True)).to_pylist() if keys else [])
    (report,) = rows["report"].drop_null().to_pylist()
    files = json.loads(report)["files"]
    written = {path.relative_to(tmp_path).as_posix(): pq.read_metadata(path).num_rows for path in tmp_path.rglob("*.parquet")}
    assert written == {file["path"]: file["stats"]["numRecords"] for file in files}
    assert sum(written.values()) == sum(map(len, batches))


def test_maps_get_into_the_order_of_their_names() -> None:
    maps = [{"b": "1", "a": "2"}, None, {}, {"\U0001f600": "3", "\uffff": "4", "z": "5"}, {"a": "6"}]
    array = as_array(maps, TEXT_MAP)
    assert array.to_pylist() == [None if pairs is None else sorted(pairs.items()) for pairs in maps]
    array.validate(full=True)


def test_a_file_that_cannot_be_read_ends_its_task_with_a_report_and_no_exception(tmp_path: Path) -> None:
    (tmp_path / "good.jsonl").write_bytes(LISTING)
    (tmp_path / "cut.jsonl.gz").write_bytes(gzip.compress(LISTING * 100)[:-9])
    tasks = [[Split(file=file) for file in find_feed_files([str(tmp_path)]).files]]
    judge = partial(judge_batches, path=str(tmp_path), run_id="run", ingested_at=datetime.now(UTC), limits=Limits())
    ids = iter([pa.record_batch([pa.array([0])], ["id"])])
    rows = pa.Table.from_batches(list(judge_splits(ids, tasks=tasks, judge=judge)), TASK_ROWS)
    (report,) = map(json.loads, rows["report"].drop_null().to_pylist())
    with pytest.raises(BadDataError, match=r"cut\.jsonl\.gz cannot be read to its end: (?s:.)*compress the file anew"):
        _raise_error([report["error"]])


def test_a_reader_that_loses_bytes_is_found_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.jsonl").write_bytes(b"\n".join([LISTING, REJECT, b"", TOMBSTONE, b""]))
    (file,) = find_feed_files([str(tmp_path / "a.jsonl")]).files

    def tallies() -> FileTallies:
        found = FileTallies()
        for lines, origin in workers._read_split(Split(file=file), found):
            found.count_records(judge_lines(lines, Limits()), lines, origin)
        return found

    verify_accounts(tallies().as_accounts())
    (account,) = tallies().as_accounts()
    assert {name: share.records for name, share in account.records.items()} == {"good": 2, "rejected": 1}
    original = workers.read_split

    def lose(split: Split) -> Iterator[Block]:
        for block in original(split):
            yield replace(block, records=block.records[1:], sizes=block.sizes[1:])

    monkeypatch.setattr(workers, "read_split", lose)
    with pytest.raises(GateRefusedError, match=rf"the account of 1 files does not close, .*a\.jsonl by {len(LISTING)} of"):
        verify_accounts(tallies().as_accounts())
