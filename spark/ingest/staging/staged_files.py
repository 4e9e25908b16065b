"""Judged records become Parquet files in the folders of the staging table, by state and locale.

Runs where the records are, and returns what the table's log is to say about the files. A task that is run twice writes other
files, which no log ever names.
"""

import uuid
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from m5model.files import storage
from schemas.listing import LISTINGS
from schemas.staging import LISTING, ORIGIN, REJECT, STAGED_RECORDS, TOMBSTONE
from spark.delta.data_files import NO_VALUE, DataFile
from spark.ingest.judging.judge import Judged
from spark.ingest.reading.lines import Lines, Origin
from spark.ingest.staging.arrow_columns import as_array, hex_array
from spark.ingest.staging.hashing import hash_contents, hash_texts

# Rows wait in memory for that many bytes, so that files are not small; then all of them are written.
FILL_BYTES = 128 << 20
BOUNDED = LISTINGS.properties["delta.dataSkippingStatsColumns"].split(",")  # bounds of these are in the log
# Columns of few values are written as a dictionary; to try it with the others costs time and saves nothing.
OF_FEW_VALUES = [
    "language",
    "brand",
    "category",
    "seller",
    "source",
    "language_source",
    "source_file",
    "raw_format",
    "run_id",
    "received_at",
]
BOUND_CHARACTERS = 32
LAST_CHARACTER = "\U0010ffff"

SCHEMA = STAGED_RECORDS.arrow_schema()
_OF_RUN = ("ingested_at", "run_id")
COLUMNS = {
    LISTING: [name for name in LISTINGS.column_names if name not in ("locale", *_OF_RUN)] + list(ORIGIN),
    TOMBSTONE: ["item_id", "updated_at", "content_hash", *ORIGIN],
}


class StagedFiles:
    """The files of one task."""

    def __init__(self, path: str, run_id: str, ingested_at: datetime) -> None:
        self._path, self._run_id, self._ingested_at = path, run_id, ingested_at
        self._waiting: dict[tuple[str, str | None], list[pa.RecordBatch]] = {}
        self._bytes = 0

    def add(self, judged: Judged, lines: Lines, origin: Origin) -> Iterator[DataFile]:
        """Takes judged records. Yields the files that were written meanwhile."""
        unknown = [None] * len(lines.raw)
        sizes, received_at = (unknown if known is None else known for known in (origin.sizes, origin.received_at))
        records = _batch(judged.columns | dict(zip(ORIGIN, (origin.files, origin.places, sizes, received_at), strict=True)))
        for state, rows in ((LISTING, judged.listings), (TOMBSTONE, judged.tombstones)):
            if rows:
                names = COLUMNS[state]
                chosen = records.take(pa.array(sorted(rows, key=judged.columns["locale"].__getitem__)))
                self._wait(_add_hashes(chosen, names).select(names), state, chosen.column("locale").to_pylist())
        if judged.verdicts:
            self._wait(_rejects(judged, lines, origin), REJECT, [None] * len(judged.verdicts))
        if self._bytes > FILL_BYTES:
            yield from self.write()

    def write(self) -> Iterator[DataFile]:
        """Write what waits."""
        for (state, locale), batches in self._waiting.items():
            yield self._write_file(state, locale, pa.Table.from_batches(batches).combine_chunks())
        self._waiting, self._bytes = {}, 0

    def _wait(self, batch: pa.RecordBatch, state: str, locales: Iterable[str | None]) -> None:
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
            column_encoding={name: "DELTA_BINARY_PACKED" for name in ("place", "size") if name in names} or None,
            write_statistics=[name for name in BOUNDED if name in names],
        )
        data = sink.getvalue()
        storage.write_bytes(f"{self._path}/{path}", memoryview(data))
        modified = int(datetime.now(UTC).timestamp() * 1000)
        return DataFile(path=path, partition=partition, size=data.size, modified=modified, stats=_stats(table))


def _rejects(judged: Judged, lines: Lines, origin: Origin) -> pa.RecordBatch:
    rows = sorted(judged.verdicts)
    verdicts = [judged.verdicts[i] for i in rows]
    values = {
        "item_id": [judged.columns["item_id"][i] for i in rows],
        "rejected_locale": [judged.columns["locale"][i] for i in rows],
        "reasons": [verdict.reasons for verdict in verdicts],
        "detail": [verdict.detail for verdict in verdicts],
        "raw": [lines.raw[i] for i in rows],
        "raw_format": [lines.formats[i] for i in rows],
        "source_file": origin.files.take(pa.array(rows)),
    }
    return _batch(values)


def _batch(columns: dict[str, Any]) -> pa.RecordBatch:
    fields = [SCHEMA.field(name) for name in columns]
    return pa.record_batch(list(map(as_array, columns.values(), [field.type for field in fields])), schema=pa.schema(fields))


def _add_hashes(batch: pa.RecordBatch, names: Sequence[str]) -> pa.RecordBatch:
    for name, hashed in (("content_hash", hash_contents), ("text_hash", hash_texts)):
        if name in names:
            batch = batch.append_column(SCHEMA.field(name), hex_array(hashed(batch)))
    return batch


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
    return _instant(-(-bound.value // 1000))


def _instant(millis: int) -> str:
    instant = pa.scalar(millis, pa.timestamp("ms", tz="UTC")).as_py()
    return f"{instant:%Y-%m-%dT%H:%M:%S}.{millis % 1000:03d}Z".rjust(24, "0")
