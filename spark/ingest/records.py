"""Records of any format become fields: text, lists and maps as the feed's columns are, or a name for what is wrong.

A record is bytes that hold one JSON object; a CSV row is an object of its cells, in which lists and maps are JSON once more.
JSON null and an absent field are no value. A name that stands twice in an object has its last value.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from schemas.listing import FEED_FIELDS
from schemas.reject import MAX_RECORD_BYTES

LISTS, MAPS, FLAGS = ("bullets",), ("attributes",), ("deleted",)
TEXTS = tuple(name for name in FEED_FIELDS if name not in LISTS + MAPS + FLAGS)
JSON, CSV = "json", "csv"
BYTE_ORDER_MARK = b"\xef\xbb\xbf"  # as some editors leave at a file's start

_ABSENT, _STRINGS = type(None), frozenset((str,))
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
    unreadable: dict[int, str]  # position → a name from schemas.reject.UNREADABLE
    wrong_types: dict[int, list[str]]  # position → fields that hold another type than their column's, and no value here


def read_records(lines: Lines) -> Records:
    """Nearly all records are JSON of the right types, which one parser tells; the others are read once more, by themselves."""
    parsed, odd = _parse_fast(lines)
    columns = {name: [record.get(name) for record in parsed] for name in FEED_FIELDS}
    odd |= _find_odd(columns)
    unreadable: dict[int, str] = {}
    wrong_types: dict[int, list[str]] = {}
    for i in sorted(odd):
        fields: dict[str, Any] = {}
        wrong: list[str] = []
        try:
            fields, wrong = _read_exactly(lines, i)
        except UnreadableRecord as error:
            unreadable[i] = str(error)
        if wrong:
            wrong_types[i] = wrong
        for name in FEED_FIELDS:
            columns[name][i] = fields.get(name)
    return Records(columns, unreadable, wrong_types)


def _parse_fast(lines: Lines) -> tuple[list[dict[str, Any]], set[int]]:
    """The objects, and the positions of records that are none or that it takes a closer look to tell."""
    parsed: list[Any] = []
    odd = {i for i, name in enumerate(lines.formats) if name != JSON} | {i for i, name in enumerate(lines.damage) if name}
    for i, raw in enumerate(lines.raw):
        try:
            parsed.append(orjson.loads(raw) if len(raw) <= MAX_RECORD_BYTES else None)
        except orjson.JSONDecodeError:
            parsed.append(None)
        if type(parsed[i]) is not dict:
            odd.add(i)
            parsed[i] = {}
    return parsed, odd


def _find_odd(columns: dict[str, list[Any]]) -> set[int]:
    """Positions of records that hold anything but text, lists of text and maps to text."""
    odd = {i for i, value in enumerate(columns["deleted"]) if value is not None}
    for name in TEXTS:
        if not set(map(type, columns[name])) <= {str, _ABSENT}:
            odd |= {i for i, value in enumerate(columns[name]) if type(value) not in (str, _ABSENT)}
    for name in LISTS:
        for i, items in enumerate(columns[name]):
            if items is not None and (type(items) is not list or not _STRINGS.issuperset(map(type, items))):
                odd.add(i)
    for name in MAPS:
        for i, pairs in enumerate(columns[name]):
            if pairs is not None and (type(pairs) is not dict or not _STRINGS.issuperset(map(type, pairs.values()))):
                odd.add(i)
    return odd


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
        if value is None:
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
    if name == "item_id" and type(value) is Number and _INTEGER.fullmatch(value) and len(value) < 20 and int(value) in _INT64:
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
