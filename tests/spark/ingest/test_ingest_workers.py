"""What a task of the pass writes and reports, without Spark."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from schemas.tables import TEXT_MAP
from spark.ingest.judging.rules import Limits
from spark.ingest.reading.lines import JSON, Lines, Origin
from spark.ingest.staging.arrow_columns import as_array
from spark.ingest.staging.keys import hash_keys
from spark.ingest.staging.workers import TASK_ROWS, judge_batches

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
