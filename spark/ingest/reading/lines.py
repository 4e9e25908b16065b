"""Lines of a feed, and the JSON object that each holds, whatever the file was (m5model.feeds).

Rejects that an older version kept may be objects of the cells of a CSV, in which lists and maps are JSON once more. A name that
occurs twice in an object has its last value, but an object with two ids is two records that damage has joined.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from schemas.listing import ITEM_ID
from schemas.reject import MAX_RECORD_BYTES

JSON, CSV = "json", "csv"
ID_NAME = f'"{ITEM_ID.name}"'.encode()
BYTE_ORDER_MARK = b"\xef\xbb\xbf"  # as some editors leave at a file's start


class Number(str):
    """A JSON number as it was spelled."""


@dataclass(frozen=True)
class Lines:
    """Records as a feed has them, one entry each."""

    raw: Sequence[bytes]
    formats: Sequence[str]  # JSON; of damaged records also CSV or "xml"
    damage: Sequence[str | None]  # a name from schemas.reject.UNREADABLE where reading the file already found damage
    physical_lines: Mapping[int, int] = field(default_factory=dict)  # position → lines, of damaged records of several
    columns: pa.RecordBatch | None = None  # the same as fields, see m5model.feeds.blocks; then none is damaged


@dataclass(frozen=True)
class Origin:
    """Where each of some lines came from."""

    files: pa.Array  # URIs
    places: pa.Array  # int64, growing within a file
    sizes: pa.Array | None = None  # what each takes in its file; None where no file is read
    received_at: pa.Array | None = None  # instants, of lines that an earlier run received; null or None: this run did


class UnreadableRecord(Exception):
    """A line that holds no record. Its text is a name from schemas.reject.UNREADABLE."""


def parse_line(lines: Lines, i: int) -> dict[str, Any]:
    """The object of line ``i``, its numbers as Number. Raises UnreadableRecord."""
    raw = lines.raw[i]
    if damage := lines.damage[i]:
        raise UnreadableRecord(damage)
    if len(raw) > MAX_RECORD_BYTES:
        raise UnreadableRecord("record_too_large")
    try:
        text = raw.removeprefix(BYTE_ORDER_MARK).decode()
    except UnicodeDecodeError as error:
        raise UnreadableRecord("invalid_utf8") from error
    try:
        values = parse_json(text)
    except ValueError:
        values = None
    if not isinstance(values, dict):
        is_whole = lines.formats[i] == CSV or text.rstrip(" \t\r").endswith("}")
        raise UnreadableRecord("invalid_record" if is_whole else "truncated_record")
    if holds_two_ids(raw) and _count_ids(text) > 1:
        raise UnreadableRecord("two_records")
    return values


def holds_two_ids(raw: bytes) -> bool:
    """Is ``raw`` an object that may have two ids, as damage leaves it that cuts out the border between two records?"""
    return raw.count(ID_NAME) > 1


def _count_ids(text: str) -> int:
    """How often the object itself names its id; objects in it may have such a name, too."""
    counts: list[int] = []

    def count(pairs: list[tuple[str, Any]]) -> None:
        counts.append(sum(name == ITEM_ID.name for name, _ in pairs))

    json.loads(text, object_pairs_hook=count)
    return counts[-1]


def parse_json(text: str) -> Any:
    """JSON with its numbers as they are spelled. Raises ValueError."""
    try:
        return json.loads(text, parse_int=Number, parse_float=Number, parse_constant=_refuse)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is no JSON")
