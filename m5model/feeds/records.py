"""Fields become a record: one JSON object in which nothing of another type looks like a field's."""

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


def encode_cells(names: Sequence[str], rows: Sequence[Sequence[str]]) -> list[bytes]:
    """Records of rows of texts. Empty cells are absent fields; a cell that should hold JSON and does not stays text."""
    if not rows:
        return []
    columns: list[Sequence[Any]] = list(zip(*rows, strict=True))
    for i, name in enumerate(names):
        if name in STRUCTURED:
            columns[i] = list(map(_open, columns[i]))
    return encode_columns(names, columns, absent="")


def encode_columns(names: Sequence[str], columns: Sequence[Sequence[Any]], *, absent: str | None) -> list[bytes]:
    """Records of columns of values of which ``absent`` is none."""
    if not any(map(_escaped.search, names)):
        return list(map(encode_record, map(_row_type(tuple(names), absent), *columns)))
    rows = zip(*columns, strict=True)
    return [encode_record({name: cell for name, cell in zip(names, row, strict=True) if cell != absent}) for row in rows]


@lru_cache(maxsize=16)
def _row_type(names: tuple[str, ...], absent: str | None) -> type[msgspec.Struct]:
    """Makes a type of rows: to fill and encode one takes a third of the time that a dict takes."""
    fields = [f"c{i}" for i in range(len(names))]
    return msgspec.defstruct(
        "Row",
        [(field, object, absent) for field in fields],
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


def _open(cell: str) -> Any:
    if not cell:
        return cell
    try:
        return _read_json(cell)
    except (msgspec.DecodeError, RecursionError):
        return cell
