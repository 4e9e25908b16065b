"""Runs on executors: reads a split, judges it, writes Parquet, and returns one report row per task and one key hash per good
record.

``judge_splits`` reads its lines from files, ``judge_rows`` gets them from Spark; both hand batches to ``judge_batches``.
"""

import gc
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from functools import partial

import pyarrow as pa

from m5model.feeds.blocks import Block
from m5model.feeds.encoded_rows import EncodedRows
from m5model.feeds.field_columns import put_constants
from m5model.feeds.mapping import FeedMapping
from m5model.feeds.records import add_constants
from m5model.feeds.splits import Split, read_split
from schemas.errors import M5Error
from spark.delta.data_files import DataFile
from spark.ingest.judging.judge import add_languages, judge_contents
from spark.ingest.judging.rules import Limits
from spark.ingest.reading.lines import JSON, Lines, Origin
from spark.ingest.staging.accounts import FileTallies
from spark.ingest.staging.contents import hash_contents_of
from spark.ingest.staging.keys import hash_keys
from spark.ingest.staging.known_contents import ContentFiles, open_known_contents
from spark.ingest.staging.staged_files import StagedFiles
from spark.ingest.staging.tally import Tally

# Judged at once at most. A block of usual records is one batch; only tiny records, and lines from Spark, are more.
BATCH_RECORDS = 5_000

# What tasks return: the last row of each is its report as JSON, the others are key hashes (staging.keys) of good records.
TASK_ROWS = pa.schema({"report": pa.string(), "key_hash": pa.int64()})
Batches = Iterator[tuple[Lines, Origin]]
Judge = Callable[..., Iterator[pa.RecordBatch]]  # judge_batches, but for what the run decides


def judge_splits(
    ids: Iterator[pa.RecordBatch], *, tasks: Sequence[Sequence[Split]], judge: Judge, mapping: FeedMapping | None = None
) -> Iterator[pa.RecordBatch]:
    """Judges the records of the splits of the tasks ``ids``, mapped where there is a mapping. Returns TASK_ROWS."""
    tallies = FileTallies()
    splits = (split for batch in ids for i in batch.column(0).to_pylist() for split in tasks[i])
    return judge((batch for split in splits for batch in _read_split(split, tallies, mapping)), tallies=tallies)


def judge_rows(rows: Iterator[pa.RecordBatch], *, judge: Judge) -> Iterator[pa.RecordBatch]:
    """Judges lines that Spark read (reading.feeds says what columns a line has). Returns TASK_ROWS."""
    return judge(
        _lines_of_rows(batch.slice(start, BATCH_RECORDS)) for batch in rows for start in range(0, batch.num_rows, BATCH_RECORDS)
    )


def judge_batches(
    batches: Batches,
    *,
    path: str,
    run_id: str,
    ingested_at: datetime,
    limits: Limits,
    tallies: FileTallies | None = None,
    stored_files: ContentFiles | None = None,
) -> Iterator[pa.RecordBatch]:
    """Judges, counts and writes batches to the staging table at ``path``. Returns TASK_ROWS.

    Of listings whose content is in ``stored_files``, only key, time and origin are written.

    A file that cannot be read ends the task with a report of that alone: an exception would have Spark try it again.
    """
    tally, tallies = Tally(), FileTallies() if tallies is None else tallies
    staged = StagedFiles(path, run_id, ingested_at)
    stored = None if stored_files is None else open_known_contents(stored_files)
    files: list[DataFile] = []
    error = ""
    gc.disable()  # records hold no cycles, and looking for some takes a third of the time
    try:
        for lines, origin in batches:
            contents = hash_contents_of(judge_contents(lines, limits), origin)
            judged = add_languages(contents.judged, contents.find_known(stored))
            tally.count(judged)
            tallies.count_records(judged, lines, origin)
            files += staged.add(judged, lines, contents)
            hashes = hash_keys(judged.good("locale"), judged.good("item_id"))
            yield pa.record_batch([pa.nulls(len(hashes), pa.string()), hashes], schema=TASK_ROWS)
        files += staged.write()
    except M5Error as found:
        error = f"{type(found).__module__}.{type(found).__qualname__}: {found}"
    finally:
        gc.enable()
    report = {
        "files": [asdict(file) for file in files],
        "tally": tally.as_json(),
        "tallies": tallies.as_json(),
        "error": error,
    }
    yield pa.record_batch([[json.dumps(report)], [None]], schema=TASK_ROWS)


def _read_split(split: Split, tallies: FileTallies, mapping: FeedMapping | None = None) -> Batches:
    constants = dict(split.file.constants)
    for block in read_split(split):
        tallies.count_block(split.file.uri, block)
        for start in range(0, len(block.records), BATCH_RECORDS):
            yield _lines_of_block(
                block, range(start, min(start + BATCH_RECORDS, len(block.records))), split.file.uri, constants, mapping
            )


def _lines_of_block(
    block: Block, chosen: range, file: str, constants: Mapping[str, str], mapping: FeedMapping | None = None
) -> tuple[Lines, Origin]:
    raw: Sequence[bytes] = block.records[chosen.start : chosen.stop]
    damage: list[str | None] = [None] * len(raw)
    formats, lines = [JSON] * len(raw), dict[int, int]()
    for i in filter(block.damage.__contains__, chosen) if block.damage else ():
        at = i - chosen.start
        damage[at], formats[at], lines[at] = block.damage[i], block.raw_form, block.lines.get(i, 1)
    if mapping:
        raw = [line if damage[i] else mapping.apply_to_line(line) for i, line in enumerate(raw)]
        constants = {**mapping.constants, **constants}  # what a folder says of its records is nearer to them
    columns = None if mapping or block.columns is None else block.columns.slice(chosen.start, len(chosen))
    if constants:
        columns = None if columns is None else put_constants(columns, constants)
        add = partial(add_constants, constants=constants)
        raw = raw.map(add) if isinstance(raw, EncodedRows) else [line if damage[i] else add(line) for i, line in enumerate(raw)]
    places = pa.array(range(block.place + chosen.start, block.place + chosen.stop), pa.int64())
    sizes = pa.array(block.sizes[chosen.start : chosen.stop], pa.int64())
    return Lines(raw, formats, damage, lines, columns), Origin(pa.repeat(file, len(raw)), places, sizes)


def _lines_of_rows(batch: pa.RecordBatch) -> tuple[Lines, Origin]:
    value, raw_format, damage = (batch.column(name).to_pylist() for name in ("value", "raw_format", "damage"))
    return Lines(value, raw_format, damage), Origin(
        batch.column("source_file"), batch.column("place"), received_at=batch.column("received_at")
    )
