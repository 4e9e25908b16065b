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
from schemas.staging import KNOWN, LISTING, ORIGIN, REJECT, TOMBSTONE
from spark.delta.data_files import NO_VALUE, DataFile
from spark.ingest.judging.judge import Judged
from spark.ingest.reading.lines import Lines, Origin
from spark.ingest.staging.arrow_columns import hex_array
from spark.ingest.staging.contents import BROUGHT, SCHEMA, Contents, as_batch
from spark.ingest.staging.hashing import hash_texts

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

_OF_RUN = ("ingested_at", "run_id")
COLUMNS = {
    LISTING: [name for name in LISTINGS.column_names if name not in ("locale", *_OF_RUN)] + list(ORIGIN),
    TOMBSTONE: ["item_id", "updated_at", "content_hash", *ORIGIN],
    KNOWN: ["item_id", "updated_at", "content_hash", *ORIGIN],
}
MADE = ("language", "language_confidence", "warnings", "repairs", "lost_letters")  # by judging; an undeclared language, too
BROUGHT_BY = {
    LISTING: [*BROUGHT, *ORIGIN],
    **{state: ["locale", *(name for name in COLUMNS[state] if name != "content_hash")] for state in (TOMBSTONE, KNOWN)},
}


class StagedFiles:
    """The files of one task."""

    def __init__(self, path: str, run_id: str, ingested_at: datetime) -> None:
        self._path, self._run_id, self._ingested_at = path, run_id, ingested_at
        self._waiting: dict[tuple[str, str | None], list[pa.RecordBatch]] = {}
        self._bytes = 0

    def add(self, judged: Judged, lines: Lines, contents: Contents) -> Iterator[DataFile]:
        """Takes judged records, their languages filled in. Yields the files that were written meanwhile."""
        if rows := _by_locale(set(judged.listings) - judged.known, judged):
            self._wait(_complete(contents.take(rows, BROUGHT_BY[LISTING]), judged, rows), LISTING)
        for state, positions in ((KNOWN, judged.known), (TOMBSTONE, judged.tombstones)):
            if rows := _by_locale(positions, judged):
                self._wait(contents.take(rows, BROUGHT_BY[state]), state)
        if judged.verdicts:
            self._wait(_rejects(judged, lines, contents.origin), REJECT)
        if self._bytes > FILL_BYTES:
            yield from self.write()

    def write(self) -> Iterator[DataFile]:
        """Write what waits."""
        for (state, locale), batches in self._waiting.items():
            yield self._write_file(state, locale, pa.Table.from_batches(batches).combine_chunks())
        self._waiting, self._bytes = {}, 0

    def _wait(self, records: pa.RecordBatch, state: str) -> None:
        """Rows in the order of their locales."""
        rejected = state == REJECT
        locales = [None] * records.num_rows if rejected else records.column("locale").to_pylist()
        batch = records if rejected else records.select(COLUMNS[state])
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
    return as_batch(values)


def _by_locale(rows: Iterable[int], judged: Judged) -> list[int]:
    return sorted(rows, key=judged.columns["locale"].__getitem__)


def _complete(listings: pa.RecordBatch, judged: Judged, rows: Sequence[int]) -> pa.RecordBatch:
    """Listings with the columns that are made here."""
    made = as_batch({name: [judged.columns[name][i] for i in rows] for name in MADE})
    for name in MADE:
        listings = _put(listings, name, made.column(name))
    return _put(listings, "text_hash", hex_array(hash_texts(listings)))


def _put(batch: pa.RecordBatch, name: str, values: pa.Array) -> pa.RecordBatch:
    at = batch.schema.get_field_index(name)
    return batch.append_column(SCHEMA.field(name), values) if at < 0 else batch.set_column(at, SCHEMA.field(name), values)


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
