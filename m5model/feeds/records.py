"""Fields become a record: one JSON object in which nothing of another type looks like a field's."""

import json
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import msgspec

from schemas.listing import FEED_FIELDS

_escaped = re.compile(r'[\\"\x00-\x1f]')  # signs of names that JSON escapes, which a type of rows may not have
encode_record = msgspec.json.Encoder(decimal_format="number").encode
_read_json = msgspec.json.Decoder(msgspec.Raw).decode  # checks it, and makes no values of it

# A cell of these holds JSON.
STRUCTURED = ("bullets", "attributes")


def encode_texts(names: Sequence[str], columns: Sequence[Sequence[str | None]]) -> list[bytes]:
    """Records of columns of texts. None is an absent field; a cell that should hold JSON and does not stays text."""
    opened = [list(map(_open, column)) if name in STRUCTURED else column for name, column in zip(names, columns, strict=True)]
    return encode_columns(names, opened)


def encode_columns(names: Sequence[str], columns: Sequence[Sequence[Any]]) -> list[bytes]:
    """Records of columns of values, None where absent. A text that is no UTF-8 (halves of surrogate pairs) makes a record that
    is none."""
    try:
        if not any(map(_escaped.search, names)):
            return list(map(encode_record, map(_row_type(tuple(names)), *columns)))
    except UnicodeEncodeError:
        pass
    rows = zip(*columns, strict=True)
    return [_encode_any({name: cell for name, cell in zip(names, row, strict=True) if cell is not None}) for row in rows]


def _encode_any(record: dict[str, Any]) -> bytes:
    try:
        return encode_record(record)
    except UnicodeEncodeError:
        return json.dumps(record, ensure_ascii=False, default=str).encode(errors="surrogateescape")


@lru_cache(maxsize=16)
def _row_type(names: tuple[str, ...]) -> type[msgspec.Struct]:
    """Makes a type of rows: to fill and encode one takes a third of the time that a dict takes."""
    fields = [f"c{i}" for i in range(len(names))]
    return msgspec.defstruct(
        "Row",
        [(field, object, None) for field in fields],
        rename=dict(zip(fields, names, strict=True)),
        omit_defaults=True,
        gc=False,
    )


def add_constants(record: bytes, constants: Mapping[str, str]) -> bytes:
    """The record with fields that its place says (a folder ``locale=DE``). What it says itself is worth more."""
    begun = record.lstrip(b" \t\r\n\xef\xbb\xbf")
    if not constants or not begun.startswith(b"{"):
        return record
    rest = begun[1:].lstrip(b" \t\r\n")
    # Of a name that occurs twice, the last value counts.
    return encode_record(dict(constants))[:-1] + (b"" if rest.startswith(b"}") else b",") + rest


def name_columns(header: Sequence[str]) -> tuple[str, ...]:
    """Each column's name: fields keep theirs, an empty one gets its position, and one that occurs again its position beside."""
    taken: set[str] = set()
    names = []
    for position, title in enumerate(header, start=1):
        name = title.strip() or f"column {position}"
        while name in taken:
            name = f"{name} ({position})"
        taken.add(name)
        names.append(name)
    return tuple(names)


def is_known(name: str) -> bool:
    """Is ``name`` a field of a listing?"""
    return name in FEED_FIELDS


def _open(cell: str | None) -> Any:
    if not cell:
        return cell
    try:
        return _read_json(cell)
    except (msgspec.DecodeError, RecursionError):
        return cell
