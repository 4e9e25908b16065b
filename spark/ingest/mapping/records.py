"""Lines become records: columns of fields, each value of its column's type, or a name for what is wrong."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import msgspec

from schemas.listing import FEED_FIELDS
from schemas.reject import MAX_RECORD_BYTES
from spark.ingest.mapping.arrow_columns import Values
from spark.ingest.mapping.field_columns import find_clear, read_fields
from spark.ingest.mapping.types import coerce_types, open_cells
from spark.ingest.reading.lines import CSV, JSON, Lines, UnreadableRecord, holds_two_ids, parse_line
from spark.ingest.reading.quick_check import find_clear_lines


@dataclass(frozen=True)
class Records:
    """``columns`` by field, one entry per record; ``deleted`` is true, false or None. Unreadable records have no values."""

    columns: dict[str, Values]
    sizes: list[int]  # bytes of its texts, at least
    clear: list[bool]  # surely no text needs a repair, except perhaps the spelling of units
    unreadable: dict[int, str]  # position → a name from schemas.reject.UNREADABLE
    wrong_types: dict[int, list[str]]  # position → fields that hold another type than their column's, and no value here


class _Record(msgspec.Struct, gc=False):
    """A usual record: an object whose known fields have the right types. ``deleted`` is not read here: it has several types."""

    locale: str | None = None
    item_id: str | None = None
    language: str | None = None
    title: str | None = None
    bullets: list[str] | None = None
    description: str | None = None
    brand: str | None = None
    category: str | None = None
    attributes: dict[str, str] | None = None
    seller: str | None = None
    source: str | None = None
    updated_at: str | None = None
    deleted: None = None


_decode = msgspec.json.Decoder(_Record).decode
_NO_VALUES = _Record()


def map_records(lines: Lines) -> Records:
    """Reads usual records with one fast parser, or takes them as columns; and the others again, one by one."""
    read = _read_columns(lines) or _read_lines(lines)
    records, odd = read
    for i in odd:
        try:
            fields, wrong = _parse_exactly(lines, i)
        except UnreadableRecord as error:
            fields, wrong = {}, []
            records.unreadable[i] = str(error)
        if wrong:
            records.wrong_types[i] = wrong
        records.clear[i] = False  # a list or map of it may hold null
        records.sizes[i] = len(lines.raw[i])
        for name, values in records.columns.items():
            if values[i] is not None or name in fields:
                values[i] = fields.get(name)
    return records


def _read_columns(lines: Lines) -> tuple[Records, Collection[int]] | None:
    """Records of columns, and the positions of odd ones; None where most are odd."""
    if lines.columns is None:
        return None
    columns, odd = read_fields(lines.columns)
    if 2 * len(odd) > lines.columns.num_rows:
        return None
    clear, sizes = find_clear(lines.columns)
    return Records(columns, sizes, clear, {}, {}), odd


def _read_lines(lines: Lines) -> tuple[Records, Collection[int]]:
    sizes = list(map(len, lines.raw))
    parsed, unusual, clear = _parse_fast(lines, sizes)
    values = zip(*map(msgspec.structs.astuple, parsed), strict=True)
    return Records(dict(zip(FEED_FIELDS, map(list, values), strict=True)), sizes, clear, {}, {}), unusual


def _parse_fast(lines: Lines, sizes: list[int]) -> tuple[list[_Record], list[int], list[bool]]:
    """Returns the records, the positions of those that have no values yet, and which records are clear."""
    is_plain = set(lines.formats) == {JSON} and set(lines.damage) == {None} and max(sizes) <= MAX_RECORD_BYTES
    clear = find_clear_lines(lines.raw) if max(sizes) <= MAX_RECORD_BYTES else [False] * len(sizes)
    parsed, unusual = [], []
    for i, raw in enumerate(lines.raw):
        try:
            if not is_plain and (lines.formats[i] != JSON or lines.damage[i] or sizes[i] > MAX_RECORD_BYTES):
                raise msgspec.DecodeError
            if not (clear[i] or raw.isascii()):
                raw.decode()  # the parser does not look into strings of fields that it does not know
            if holds_two_ids(raw):
                raise msgspec.DecodeError
            parsed.append(_decode(raw))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            parsed.append(_NO_VALUES)
            unusual.append(i)
    return parsed, unusual, clear


def _parse_exactly(lines: Lines, i: int) -> tuple[dict[str, Any], list[str]]:
    """Fields that hold a value of the right type, and the names of those that hold another."""
    values = parse_line(lines, i)
    return coerce_types(open_cells(values) if lines.formats[i] == CSV else values)
