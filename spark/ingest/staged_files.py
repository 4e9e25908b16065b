"""Judged records become Parquet files in the folders of the staging table, by state and locale.

Runs where the records are, and returns what the table's log is to say of the files. A task that is run twice writes other
files, which no log ever names.
"""

import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import accumulate, chain
from operator import itemgetter
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from m5model import storage
from schemas.listing import LISTINGS
from schemas.staging import LISTING, REJECT, REJECT_COLUMNS, STAGED_RECORDS, TOMBSTONE
from spark.data_files import NO_VALUE, DataFile
from spark.ingest.instants import KNOWN
from spark.ingest.judging import Judged
from spark.ingest.records import Lines

# Rows wait in memory for that many bytes, so that files are not small; then all of them are written.
FILL_BYTES = 128 << 20
BOUNDED = LISTINGS.properties["delta.dataSkippingStatsColumns"].split(",")  # bounds of these are in the log
# Columns of few values are written as a dictionary; to try it with the others costs time and saves nothing.
OF_FEW_VALUES = ["language", "brand", "category", "seller", "source", "language_source", "source_file", "raw_format", "run_id"]
BOUND_CHARACTERS = 32
LAST_CHARACTER = "\U0010ffff"
LAST_MILLI = KNOWN[-1] // 1000

SCHEMA = STAGED_RECORDS.arrow_schema()
_OF_RUN = ("ingested_at", "run_id")
COLUMNS = {
    LISTING: [name for name in LISTINGS.column_names if name not in ("locale", *_OF_RUN)] + ["source_file"],
    TOMBSTONE: ["item_id", "updated_at", "content_hash", "source_file"],
    REJECT: ["item_id", "rejected_locale", *REJECT_COLUMNS],
}


class StagedFiles:
    """The files of one task."""

    def __init__(self, path: str, run_id: str, ingested_at: datetime) -> None:
        self._path, self._run_id, self._ingested_at = path, run_id, ingested_at
        self._waiting: dict[tuple[str, str | None], list[pa.RecordBatch]] = {}
        self._bytes = 0

    def add(self, judged: Judged, lines: Lines, sources: pa.Array) -> Iterator[DataFile]:
        """Records that were judged, and the file that each came from. Yields the files that were written meanwhile."""
        listings = judged.listings
        self._add_by_locale(LISTING, judged, listings, sources)
        self._add_by_locale(TOMBSTONE, judged, sorted(judged.tombstones, key=judged.columns["locale"].__getitem__), sources)
        if judged.verdicts:
            self._wait(_rejects(judged, lines, sources), REJECT, [None] * len(judged.verdicts))
        if self._bytes > FILL_BYTES:
            yield from self.write()

    def write(self) -> Iterator[DataFile]:
        """Write what waits."""
        for (state, locale), batches in self._waiting.items():
            yield self._write_file(state, locale, pa.Table.from_batches(batches).combine_chunks())
        self._waiting, self._bytes = {}, 0

    def _add_by_locale(self, state: str, judged: Judged, rows: list[int], sources: pa.Array) -> None:
        if not rows:
            return
        pick = itemgetter(*rows) if len(rows) > 1 else lambda values: (values[rows[0]],)
        chosen = {name: pick(judged.columns[name]) for name in COLUMNS[state] if name in judged.columns}
        self._wait(_batch(state, chosen | {"source_file": sources.take(pa.array(rows))}), state, pick(judged.columns["locale"]))

    def _wait(self, batch: pa.RecordBatch, state: str, locales: Sequence[str | None]) -> None:
        """Rows in the order of their locales."""
        start = 0
        for locale, rows in Counter(locales).items():
            self._waiting.setdefault((state, locale), []).append(batch.slice(start, rows))
            start += rows
        self._bytes += batch.nbytes

    def _write_file(self, state: str, locale: str | None, table: pa.Table) -> DataFile:
        if state == LISTING:
            for name, value in zip(_OF_RUN, (self._ingested_at, self._run_id), strict=True):
                field = SCHEMA.field(name)
                table = table.append_column(field, pa.repeat(pa.scalar(value, field.type), table.num_rows))
        partition = {"state": state, "locale": locale}
        folders = "/".join(f"{name}={NO_VALUE if value is None else value}" for name, value in partition.items())
        path = f"{folders}/{uuid.uuid4().hex}.zstd.parquet"
        sink = pa.BufferOutputStream()
        names = set(table.column_names)
        pq.write_table(
            table,
            sink,
            compression="zstd",
            use_dictionary=[name for name in OF_FEW_VALUES if name in names],
            write_statistics=[name for name in BOUNDED if name in names],
        )
        data = sink.getvalue()
        storage.write_bytes(f"{self._path}/{path}", memoryview(data))
        modified = int(datetime.now(UTC).timestamp() * 1000)
        return DataFile(path=path, partition=partition, size=data.size, modified=modified, stats=_stats(table))


def _rejects(judged: Judged, lines: Lines, sources: pa.Array) -> pa.RecordBatch:
    rows = sorted(judged.verdicts)
    verdicts = [judged.verdicts[i] for i in rows]
    values = {
        "item_id": [judged.columns["item_id"][i] for i in rows],
        "rejected_locale": [judged.columns["locale"][i] for i in rows],
        "reasons": [verdict.reasons for verdict in verdicts],
        "detail": [verdict.detail for verdict in verdicts],
        "raw": [lines.raw[i] for i in rows],
        "raw_format": [lines.formats[i] for i in rows],
        "source_file": sources.take(pa.array(rows)),
    }
    return _batch(REJECT, values)


def _batch(state: str, values: dict[str, Any]) -> pa.RecordBatch:
    fields = [SCHEMA.field(name) for name in COLUMNS[state]]
    return pa.record_batch([_array(values[field.name], field.type) for field in fields], schema=pa.schema(fields))


def _array(values: Any, kind: pa.DataType) -> pa.Array:
    """Lists and maps by way of their items: several times as fast as one by one."""
    if isinstance(values, pa.Array):
        return values
    if isinstance(values[0], bytes) and kind == pa.string():
        return _hex_array(values)
    if not pa.types.is_nested(kind):
        return pa.array(values, kind)
    none = pa.array([value is None for value in values]) if None in values else None
    is_map = pa.types.is_map(kind)
    filled: list[Any] = [value or ({} if is_map else ()) for value in values]
    offsets = pa.array([0, *accumulate(map(len, filled))], pa.int32())
    items = pa.array(list(chain.from_iterable(filled)), pa.string())
    if is_map:
        values = pa.array(list(chain.from_iterable(pairs.values() for pairs in filled)), pa.string())
        return pa.MapArray.from_arrays(offsets, items, values, type=kind, mask=none)
    return pa.ListArray.from_arrays(offsets, items, type=kind, mask=none)


def _hex_array(digests: Sequence[bytes]) -> pa.Array:
    """All of one length, so the text of all of them is the array already."""
    length = 2 * len(digests[0])
    ends = pa.array(range(0, length * len(digests) + 1, length), pa.int32())
    return pa.StringArray.from_buffers(len(digests), ends.buffers()[1], pa.py_buffer(b"".join(digests).hex().encode()))


def _stats(table: pa.Table) -> dict[str, object]:
    """As Delta's log has them: https://github.com/delta-io/delta/blob/master/PROTOCOL.md#per-file-statistics"""
    stats: dict[str, Any] = {"numRecords": table.num_rows, "minValues": {}, "maxValues": {}, "nullCount": {}}
    for name in BOUNDED:
        if name in table.column_names:
            stats["nullCount"][name] = table[name].null_count
            bounds = pc.min_max(table[name])
            if bounds["min"].is_valid:
                stats["minValues"][name] = _lower(bounds["min"])
                if (upper := _upper(bounds["max"])) is not None:
                    stats["maxValues"][name] = upper
    return stats


def _lower(bound: pa.Scalar) -> str:
    """Texts are cut and times are whole milliseconds, downwards."""
    if pa.types.is_string(bound.type):
        return bound.as_py()[:BOUND_CHARACTERS]
    return _instant(bound.value // 1000)


def _upper(bound: pa.Scalar) -> str | None:
    """As ``_lower``, upwards; None where there is no such bound."""
    if pa.types.is_string(bound.type):
        text: str = bound.as_py()
        if len(text) <= BOUND_CHARACTERS:
            return text
        return None if text[BOUND_CHARACTERS] == LAST_CHARACTER else text[:BOUND_CHARACTERS] + LAST_CHARACTER
    millis = -(-bound.value // 1000)
    return _instant(millis) if millis <= LAST_MILLI else None


def _instant(millis: int) -> str:
    instant = pa.scalar(millis, pa.timestamp("ms", tz="UTC")).as_py()
    return f"{instant:%Y-%m-%dT%H:%M:%S}.{millis % 1000:03d}Z".rjust(24, "0")
