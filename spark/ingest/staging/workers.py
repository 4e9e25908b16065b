"""Runs on executors: reads a split, judges it, writes Parquet, and returns one report row per task and one key hash per good
record.

``judge_splits`` reads its lines from files, ``judge_rows`` gets them from Spark; both hand batches to ``judge_batches``.
"""

import gc
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from datetime import datetime

import pyarrow as pa

from spark.delta.data_files import DataFile
from spark.ingest.judging.judge import judge_lines
from spark.ingest.judging.rules import Limits
from spark.ingest.reading.json_files import Split, read_blocks
from spark.ingest.reading.lines import JSON, Lines, Origin
from spark.ingest.staging.keys import hash_keys
from spark.ingest.staging.staged_files import StagedFiles
from spark.ingest.staging.tally import Tally

# Judged at once at most. A block of usual records is one batch; only tiny records, and lines from Spark, are more.
BATCH_RECORDS = 5_000

# What tasks return: the last row of each is its report as JSON, the others are key hashes (staging.keys) of good records.
TASK_ROWS = pa.schema({"report": pa.string(), "key_hash": pa.int64()})
Batches = Iterator[tuple[Lines, Origin]]
Judge = Callable[[Batches], Iterator[pa.RecordBatch]]


def judge_splits(ids: Iterator[pa.RecordBatch], *, tasks: Sequence[Sequence[Split]], judge: Judge) -> Iterator[pa.RecordBatch]:
    """Judges the lines of the splits of the tasks ``ids``. Returns TASK_ROWS."""
    splits = (split for batch in ids for i in batch.column(0).to_pylist() for split in tasks[i])
    return judge(batch for split in splits for batch in _read_split(split))


def judge_rows(rows: Iterator[pa.RecordBatch], *, judge: Judge) -> Iterator[pa.RecordBatch]:
    """Judges lines that Spark read (reading.feeds says what columns a line has). Returns TASK_ROWS."""
    return judge(
        _lines_of_rows(batch.slice(start, BATCH_RECORDS)) for batch in rows for start in range(0, batch.num_rows, BATCH_RECORDS)
    )


def judge_batches(
    batches: Batches, *, path: str, run_id: str, ingested_at: datetime, limits: Limits
) -> Iterator[pa.RecordBatch]:
    """Judges, counts and writes batches to the staging table at ``path``. Returns TASK_ROWS."""
    staged, tally = StagedFiles(path, run_id, ingested_at), Tally()
    files: list[DataFile] = []
    gc.disable()  # records hold no cycles, and looking for some takes a third of the time
    try:
        for lines, origin in batches:
            judged = judge_lines(lines, limits)
            tally.count(judged)
            files += staged.add(judged, lines, origin)
            hashes = hash_keys(judged.good("locale"), judged.good("item_id"))
            yield pa.record_batch([pa.nulls(len(hashes), pa.string()), hashes], schema=TASK_ROWS)
        files += staged.write()
    finally:
        gc.enable()
    report = json.dumps({"files": [asdict(file) for file in files], "tally": tally.as_json()})
    yield pa.record_batch([[report], [None]], schema=TASK_ROWS)


def _read_split(split: Split) -> Batches:
    """Numbers lines from the split's first byte on: no line takes less than a byte, so the next split's numbers are higher."""
    place = split.start
    for block in read_blocks(split):
        for start in range(0, len(block), BATCH_RECORDS):
            raw = block[start : start + BATCH_RECORDS]
            places = pa.array(range(place, place + len(raw)), pa.int64())
            yield Lines(raw, [JSON] * len(raw), [None] * len(raw)), Origin(pa.repeat(split.source_file, len(raw)), places)
            place += len(raw)


def _lines_of_rows(batch: pa.RecordBatch) -> tuple[Lines, Origin]:
    value, raw_format, damage = (batch.column(name).to_pylist() for name in ("value", "raw_format", "damage"))
    return Lines(value, raw_format, damage), Origin(*(batch.column(name) for name in ("source_file", "place", "received_at")))
