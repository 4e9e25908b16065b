"""Columns of a table become columns of fields, where their types say a record's fields as its JSON would."""

from collections.abc import Callable, Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from schemas.listing import DELETED, FEED_FIELDS, ITEM_ID
from schemas.reject import MAX_RECORD_BYTES
from schemas.tables import TEXT, TEXT_MAP, TEXTS

BULLETS, ATTRIBUTES = "bullets", "attributes"
NO_TEXTS = frozenset((BULLETS, ATTRIBUTES, DELETED))
JSON_GROWTH = 6  # a character may become an escape of six
NUMBER_BYTES = 400  # of a cell that is no text, in JSON


def choose_columns(
    columns: Mapping[str, pa.Array], texts_of: Callable[[str, pa.Array], pa.Array] | None = None
) -> pa.RecordBatch | None:
    """The columns that are fields, as Block.columns has them; None where one is of another type, or any
    holds a text that is no UTF-8.

    ``texts_of`` makes texts of a column that is to hold such, or gives it back as it is; without it, all columns are texts,
    and lists and maps are JSON. ``columns`` are all of the records.
    """
    found: dict[str, pa.Array] = {}
    for name in FEED_FIELDS:
        if name not in columns or pa.types.is_null(columns[name].type):
            continue
        column = columns[name] if texts_of is None else _as_field(name, columns[name], texts_of)
        if column is None:
            return None
        found[name] = column
    if not found or _bound_record(columns) >= MAX_RECORD_BYTES:
        return None
    is_sound = texts_of is None or all(map(_is_utf_8, columns.values()))
    return pa.RecordBatch.from_pydict(found) if is_sound else None


def _is_utf_8(column: pa.Array) -> bool:
    try:
        column.validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def put_constants(columns: pa.RecordBatch, constants: Mapping[str, str]) -> pa.RecordBatch | None:
    """Columns with what their place says of all records; what a record says itself is worth more. None for a field that is no
    text."""
    found = dict(zip(columns.schema.names, columns.columns, strict=True))
    if not NO_TEXTS.isdisjoint(constants):
        return None
    for name, text in constants.items():
        found[name] = pc.fill_null(found[name], text) if name in found else pa.repeat(text, columns.num_rows)
    return pa.RecordBatch.from_pydict(found)


def is_text(kind: pa.DataType) -> bool:
    """Is it a type of texts?"""
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _as_field(name: str, column: pa.Array, texts_of: Callable[[str, pa.Array], pa.Array]) -> pa.Array | None:
    kind = column.type
    if name == DELETED and pa.types.is_boolean(kind):
        return column
    if name == BULLETS and (pa.types.is_list(kind) or pa.types.is_large_list(kind)) and is_text(kind.value_type):
        return column.cast(TEXTS)
    if name == ATTRIBUTES and pa.types.is_map(kind) and is_text(kind.key_type) and is_text(kind.item_type):
        return column.cast(TEXT_MAP)
    if name == ITEM_ID.name and pa.types.is_integer(kind) and not pa.types.is_uint64(kind):
        return column.cast(TEXT)
    if name not in (BULLETS, ATTRIBUTES):
        texts = texts_of(name, column)
        return texts.cast(TEXT) if is_text(texts.type) else None
    return None


def _bound_record(columns: Mapping[str, pa.Array]) -> int:
    """No record of these columns takes more bytes as JSON."""
    return sum(JSON_GROWTH * len(name.encode()) + _bound_cell(column) for name, column in columns.items())


def _bound_cell(column: pa.Array) -> int:
    kind = column.type
    if pa.types.is_dictionary(kind):
        return _bound_cell(column.dictionary)
    if is_text(kind):
        return JSON_GROWTH * (pc.max(pc.binary_length(column)).as_py() or 0) + NUMBER_BYTES
    if pa.types.is_map(kind):
        return _longest(column) * (_bound_cell(column.keys) + _bound_cell(column.items))
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return _longest(column) * _bound_cell(column.values)
    return MAX_RECORD_BYTES if pa.types.is_nested(kind) else NUMBER_BYTES


def _longest(column: pa.Array) -> int:
    return int(np.diff(column.offsets.to_numpy()).max(initial=0)) + 1
