"""Records of any format become fields: text, lists and maps as the feed's columns are, or a name for what is wrong.

A record is bytes that hold one JSON object; a CSV row is an object of its cells, in which lists and maps are JSON once more.
JSON null and an absent field are no value. A name that stands twice in an object has its last value.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from schemas.listing import FEED_FIELDS
from schemas.reject import MAX_RECORD_BYTES
from spark.ingest.reading.quick_check import find_clear_lines

LISTS, MAPS, FLAGS = ("bullets",), ("attributes",), ("deleted",)
TEXTS = tuple(name for name in FEED_FIELDS if name not in LISTS + MAPS + FLAGS)
JSON, CSV = "json", "csv"
BYTE_ORDER_MARK = b"\xef\xbb\xbf"  # as some editors leave at a file's start

# What a key may be instead of text: many catalogues number their items.
_INTEGER = re.compile("-?[0-9]+")
_INT64 = range(-(1 << 63), 1 << 63)


class Number(str):
    """A JSON number as it was spelled."""


@dataclass(frozen=True)
class Lines:
    """Records as they stand in a feed, one entry each."""

    raw: Sequence[bytes]
    formats: Sequence[str]  # JSON or CSV
    damage: Sequence[str | None]  # what reading the file found already: a name from schemas.reject.UNREADABLE


@dataclass(frozen=True)
class Records:
    """``columns`` by field, one entry for each record; ``deleted`` is true, false or None. Unreadable ones have no values."""

    columns: dict[str, list[Any]]
    sizes: list[int]  # bytes
    clear: list[bool]  # surely no text needs a repair, but for how units are spelled
    unreadable: dict[int, str]  # position → a name from schemas.reject.UNREADABLE
    wrong_types: dict[int, list[str]]  # position → fields that hold another type than their column's, and no value here


class _Record(msgspec.Struct, gc=False):
    """What nearly all records are: an object whose known fields have the right types. Without ``deleted``: it has several."""

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


def read_records(lines: Lines) -> Records:
    """Nearly all records are JSON of the right types, which one parser tells; the others are read once more, by themselves."""
    sizes = list(map(len, lines.raw))
    parsed, odd, clear = _parse_fast(lines, sizes)
    values = zip(*map(msgspec.structs.astuple, parsed), strict=True)
    columns: dict[str, list[Any]] = dict(zip(FEED_FIELDS, map(list, values), strict=True))
    unreadable: dict[int, str] = {}
    wrong_types: dict[int, list[str]] = {}
    for i in odd:
        try:
            fields, wrong = _read_exactly(lines, i)
        except UnreadableRecord as error:
            unreadable[i] = str(error)
            continue
        if wrong:
            wrong_types[i] = wrong
        for name, value in fields.items():
            columns[name][i] = value
    return Records(columns, sizes, clear, unreadable, wrong_types)


def _parse_fast(lines: Lines, sizes: list[int]) -> tuple[list[_Record], list[int], list[bool]]:
    """The records, the positions of those that have no values yet and must be looked at closely, and which are clear."""
    is_plain = set(lines.formats) == {JSON} and set(lines.damage) == {None} and max(sizes) <= MAX_RECORD_BYTES
    clear = find_clear_lines(lines.raw) if is_plain else [False] * len(sizes)
    parsed, odd = [], []
    for i, raw in enumerate(lines.raw):
        try:
            if not is_plain and (lines.formats[i] != JSON or lines.damage[i] or sizes[i] > MAX_RECORD_BYTES):
                raise msgspec.DecodeError
            if not (clear[i] or raw.isascii()):
                raw.decode()  # the parser does not look into strings of fields that it does not know
            parsed.append(_decode(raw))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            parsed.append(_NO_VALUES)
            odd.append(i)
            clear[i] = False  # a list or map of it may hold null
    return parsed, odd, clear


class UnreadableRecord(Exception):
    """Its text is a name from schemas.reject.UNREADABLE."""


def _read_exactly(lines: Lines, i: int) -> tuple[dict[str, Any], list[str]]:
    """Fields that hold a value of the right type, and the names of those that hold another."""
    raw, is_csv = lines.raw[i], lines.formats[i] == CSV
    if damage := lines.damage[i]:
        raise UnreadableRecord(damage)
    if len(raw) > MAX_RECORD_BYTES:
        raise UnreadableRecord("record_too_large")
    try:
        text = raw.removeprefix(BYTE_ORDER_MARK).decode()
    except UnicodeDecodeError as error:
        raise UnreadableRecord("invalid_utf8") from error
    try:
        values = _load(text)
    except ValueError:
        values = None
    if not isinstance(values, dict):
        is_whole = is_csv or text.rstrip(" \t\r").endswith("}")
        raise UnreadableRecord("invalid_record" if is_whole else "truncated_record")
    return _settle_types(_open_cells(values) if is_csv else values)


def _load(text: str) -> Any:
    """JSON with its numbers as they are spelled. Raises ValueError."""
    try:
        return json.loads(text, parse_int=Number, parse_float=Number, parse_constant=_refuse)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _open_cells(cells: dict[str, Any]) -> dict[str, Any]:
    """Empty cells are absent; those of lists and maps hold JSON, else text, which is no list and no map."""
    values: dict[str, Any] = {name: cell for name, cell in cells.items() if cell != ""}
    for name in LISTS + MAPS:
        if isinstance(values.get(name), str):
            try:
                values[name] = _load(values[name])
            except ValueError:
                continue
    return values


def _settle_types(values: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    fields: dict[str, Any] = {}
    wrong = []
    for name in FEED_FIELDS:
        value = values.get(name)
        if value is None or (name in FLAGS and isinstance(value, str) and not value.strip()):
            continue
        try:
            fields[name] = _settle_type(name, value)
        except TypeError:
            wrong.append(name)
    return fields, wrong


def _settle_type(name: str, value: Any) -> Any:
    if name in LISTS and isinstance(value, list):
        return [None if item is None else _text(item) for item in value]
    if name in MAPS and isinstance(value, dict):
        return {_text(key): None if item is None else _scalar(item) for key, item in value.items()}
    if name in FLAGS:
        return value if isinstance(value, bool) else _flag(value)
    if name == "item_id" and type(value) is Number and _INTEGER.fullmatch(value) and len(value) <= 20 and int(value) in _INT64:
        return str(value)
    if name in LISTS + MAPS:
        raise TypeError(name)
    return _text(value)


def _text(value: Any) -> str:
    if type(value) is not str:
        raise TypeError(value)
    # An escape for half of a surrogate pair is JSON, but no character.
    return value if value.isascii() else value.encode("utf-8", errors="replace").decode()


def _scalar(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if type(value) is Number else _text(value)


def _flag(value: Any) -> bool:
    words = {"true": True, "false": False}
    flag = words.get(_text(value).strip().lower())
    if flag is None:
        raise TypeError(value)
    return flag
