"""Fields become a record: one JSON object in which nothing of another type looks like a field's."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from schemas.listing import FEED_FIELDS

encode_record = msgspec.json.Encoder(decimal_format="number").encode
_is_json = msgspec.json.Decoder().decode

# A cell of these holds JSON.
STRUCTURED = ("bullets", "attributes")


def encode_cells(names: Sequence[str], rows: Sequence[Sequence[str]]) -> list[bytes]:
    """Records of rows of texts. Empty cells are absent fields; a cell that should hold JSON and does not stays text."""
    records: list[dict[str, Any]] = [{name: cell for name, cell in zip(names, row, strict=True) if cell} for row in rows]
    for name in STRUCTURED:
        if name not in names:
            continue
        for record in records:
            if cell := record.get(name):
                record[name] = _open(cell)
    return list(map(encode_record, records))


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
    try:
        _is_json(cell)
    except (msgspec.DecodeError, RecursionError):
        return cell
    return msgspec.Raw(cell.encode())
