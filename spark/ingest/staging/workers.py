"""What tasks of the pass do: lines are read, judged, counted and written, and told of: a row of JSON, and a row for each key.

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
from spark.ingest.reading.records import JSON, Lines
from spark.ingest.staging.hashing import hash_keys
from spark.ingest.staging.staged_files import StagedFiles
from spark.ingest.staging.tally import Tally

# Judged at once at most. A block of usual records is one batch; only tiny records, and lines from Spark, are more.
BATCH_RECORDS = 5_000

# A task's JSON in one row; in the others hashes of the good records' keys (settle.hash_key).
TOLD = pa.schema({"told": pa.string(), "key_hash": pa.int64()})
# Lines, and the file that each came from.
Batches = Iterator[tuple[Lines, pa.Array]]
Judge = Callable[[Batches], Iterator[pa.RecordBatch]]


def judge_splits(ids: Iterator[pa.RecordBatch], *, tasks: Sequence[Sequence[Split]], judge: Judge) -> Iterator[pa.RecordBatch]:
    splits = (split for batch in ids for i in batch.column(0).to_pylist() for split in tasks[i])
    return judge(
        _batch_of_json(block[start : start + BATCH_RECORDS], split)
        for split in splits
        for block in read_blocks(split)
        for start in range(0, len(block), BATCH_RECORDS)
    )


def _batch_of_json(raw: list[bytes], split: Split) -> tuple[Lines, pa.Array]:
    return Lines(raw, [JSON] * len(raw), [None] * len(raw)), pa.repeat(split.source_file, len(raw))


def judge_rows(batches: Iterator[pa.RecordBatch], *, judge: Judge) -> Iterator[pa.RecordBatch]:
    def read() -> Batches:
        for whole in batches:
            for start in range(0, whole.num_rows, BATCH_RECORDS):
                batch = whole.slice(start, BATCH_RECORDS)
                value, raw_format, damage = (batch.column(name).to_pylist() for name in ("value", "raw_format", "damage"))
                yield Lines(value, raw_format, damage), batch.column("source_file")

    return judge(read())


def judge_batches(
    batches: Batches, *, path: str, run_id: str, ingested_at: datetime, limits: Limits
) -> Iterator[pa.RecordBatch]:
    """Rows of TOLD; the last one tells of the files that were written."""
    staged, tally = StagedFiles(path, run_id, ingested_at), Tally()
    files: list[DataFile] = []
    gc.disable()  # records hold no cycles, and to look for some takes a third of the time
    try:
        for lines, sources in batches:
            judged = judge_lines(lines, limits)
            tally.count(judged)
            files += staged.add(judged, lines, sources)
            hashes = hash_keys(judged.good("locale"), judged.good("item_id"))
            yield pa.record_batch([pa.nulls(len(hashes), pa.string()), hashes], schema=TOLD)
        files += staged.write()
    finally:
        gc.enable()
    told = json.dumps({"files": [asdict(file) for file in files], "tally": tally.as_json()})
    yield pa.record_batch([[told], [None]], schema=TOLD)
