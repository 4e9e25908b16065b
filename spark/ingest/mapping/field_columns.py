"""Columns of a table become columns of records. Rows that they do not say all of are odd: their JSON is read instead."""

from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from schemas.listing import FEED_FIELDS
from schemas.tables import TEXT, TEXT_MAP, TEXTS
from spark.ingest.mapping.arrow_columns import ArrowColumn, Values
from spark.ingest.mapping.types import FLAGS, LISTS, MAPS, PROSE
from spark.ingest.reading.quick_check import SEPARATOR, find_clear_columns

_decoders: dict[str, Callable[[str], Any]] = {
    "bullets": msgspec.json.Decoder(list[str]).decode,
    "attributes": msgspec.json.Decoder(dict[str, str]).decode,
}
# Few rules look into these, so that most of their values are never made.
LEFT_AS_ARROW = tuple(name for name in PROSE if name != "title") + LISTS + MAPS


def read_fields(batch: pa.RecordBatch) -> tuple[dict[str, Values], set[int]]:
    """Values by field, and the positions of odd rows, whose values say nothing. ``batch`` is as m5model.feeds.blocks says."""
    columns: dict[str, Values] = {}
    odd: set[int] = set()
    for name in FEED_FIELDS:
        at = batch.schema.get_field_index(name)
        array = batch.column(at) if at >= 0 else None
        if array is None or array.null_count == len(array):
            columns[name] = [None] * batch.num_rows
        elif name in LISTS + MAPS:
            columns[name] = _read_nested(name, array, odd)
        elif name in FLAGS and array.type == TEXT:
            odd.update(np.flatnonzero(array.is_valid()).tolist())
            columns[name] = [None] * batch.num_rows
        else:
            columns[name] = ArrowColumn(array) if name in LEFT_AS_ARROW else array.to_pylist()
    return columns, odd


def find_clear(batch: pa.RecordBatch) -> tuple[list[bool], list[int]]:
    """Tells which records surely need no repair, and how many bytes their texts take."""
    texts, cells, count = [], [], 0
    for name, array in zip(batch.schema.names, batch.columns, strict=True):
        if name in PROSE:
            texts.append(array)
            count += len(array) - array.null_count
        elif name in LISTS + MAPS and array.type == TEXT:
            cells.append(array)
        elif name in LISTS + MAPS:
            joined = [_join(array, items) for items in ((array.values,) if name in LISTS else (array.keys, array.items))]
            texts += joined
            count += len(joined) * _count_items(array)
    return find_clear_columns(texts or [pa.nulls(batch.num_rows, TEXT)], cells, count)


def _count_items(lists: pa.Array) -> int:
    offsets = lists.offsets
    return int(offsets[-1].as_py() - offsets[0].as_py())


def _join(lists: pa.Array, items: pa.Array) -> pa.Array:
    """The items of each list or map in one text; null where there are none."""
    joined = pc.binary_join(pa.ListArray.from_arrays(lists.offsets, items), SEPARATOR)
    lengths = np.diff(lists.offsets.to_numpy())
    return pc.if_else(pa.array(lengths == 0), None, joined) if not lengths.all() else joined


def _read_nested(name: str, array: pa.Array, odd: set[int]) -> Values:
    if array.type == TEXT:
        return _read_json(_decoders[name], array.to_pylist(), odd)
    array = _from_zero(array)
    odd.update(_find_rows(array, _find_odd_items(array)))
    return ArrowColumn(array)


def _read_json(decode: Callable[[str], Any], cells: list[str | None], odd: set[int]) -> list[Any]:
    values: list[Any] = [None] * len(cells)
    for i, cell in enumerate(cells):
        if cell is not None:
            try:
                values[i] = decode(cell)
            except (msgspec.DecodeError, RecursionError):
                odd.add(i)
    return values


def _from_zero(array: pa.Array) -> pa.Array:
    """A list or map whose items begin with its own first one."""
    offsets = array.offsets.to_numpy()
    start, end = int(offsets[0]), int(offsets[-1])
    starts = pa.array(offsets - start, pa.int32())
    if array.type == TEXTS:
        return pa.ListArray.from_arrays(starts, array.values.slice(start, end - start), type=TEXTS, mask=_nulls(array))
    items = [items.slice(start, end - start) for items in (array.keys, array.items)]
    return pa.MapArray.from_arrays(starts, *items, type=TEXT_MAP, mask=_nulls(array))


def _nulls(array: pa.Array) -> pa.Array | None:
    return array.is_null() if array.null_count else None


def _find_odd_items(array: pa.Array) -> np.ndarray:
    """Positions of items that are null, and of names that a map has before."""
    if array.type == TEXTS:
        return np.flatnonzero(array.values.is_null()) if array.values.null_count else np.empty(0, np.int64)
    nulls = np.flatnonzero(array.items.is_null()) if array.items.null_count else np.empty(0, np.int64)
    names = array.keys.dictionary_encode()
    rows = np.repeat(np.arange(len(array)), np.diff(array.offsets.to_numpy()))
    _, firsts = np.unique(rows * max(1, len(names.dictionary)) + names.indices.to_numpy(), return_index=True)
    return np.concatenate([nulls, np.setdiff1d(np.arange(len(rows)), firsts)]) if len(firsts) < len(rows) else nulls


def _find_rows(array: pa.Array, items: np.ndarray) -> list[int]:
    rows: list[int] = (np.searchsorted(array.offsets.to_numpy(), items, side="right") - 1).tolist()
    return rows
