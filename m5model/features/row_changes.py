"""Compares two versions' rows by their key: added, removed, changed. Holds one part of the rows at a time.

Rows are divided by a hash of the listing into parts that lie on the local disk meanwhile, so that a table of any size is
compared in the memory of one part.
"""

import heapq
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from schemas.listing import ITEM_ID, LOCALE

ROWS_PER_PART = 500_000
Row = dict[str, Any]
Batches = Iterable[pa.RecordBatch]


@dataclass(kw_only=True)
class RowChanges:
    """Holds what became of rows; samples are those with the smallest keys."""

    samples: int  # of each kind at most
    added: int = 0
    removed: int = 0
    changed: int = 0
    same: int = 0
    changed_columns: Counter[str] = field(default_factory=Counter)  # changed rows by column
    added_rows: list[Row] = field(default_factory=list)
    removed_rows: list[Row] = field(default_factory=list)
    changed_rows: list[tuple[Row, Row]] = field(default_factory=list)  # before, after


def compare_rows(
    old: Batches, new: Batches, key: Sequence[str], *, rows: int, samples: int, part_rows: int = ROWS_PER_PART
) -> RowChanges:
    """The changes from ``old`` to ``new``, which hold about ``rows`` rows together. Keys are unique on each side.

    Columns that only one side has are not compared.
    """
    changes = RowChanges(samples=samples)
    parts = max(1, -(-rows // part_rows))
    with tempfile.TemporaryDirectory(prefix="m5-diff-") as folder:
        for name, batches in (("old", old), ("new", new)):
            _divide(batches, Path(folder), name, parts)
        for part in range(parts):
            sides = [_read_part(Path(folder) / f"{name}-{part}.arrow") for name in ("old", "new")]
            _compare_part(changes, sides[0], sides[1], list(key))
    return changes


def _divide(batches: Batches, folder: Path, name: str, parts: int) -> None:
    with ExitStack() as stack:
        writers: dict[int, pa.RecordBatchFileWriter] = {}
        for batch in batches:
            for part, rows in _split(batch, parts):
                if part not in writers:
                    file = str(folder / f"{name}-{part}.arrow")
                    writers[part] = stack.enter_context(pa.ipc.new_file(file, batch.schema))
                writers[part].write_batch(rows)


def _split(batch: pa.RecordBatch, parts: int) -> Iterator[tuple[int, pa.RecordBatch]]:
    if parts == 1:
        yield 0, batch
        return
    names = zip(batch.column(LOCALE.name).to_pylist(), batch.column(ITEM_ID.name).to_pylist(), strict=True)
    place = np.fromiter((crc32(f"{locale}/{item}".encode()) % parts for locale, item in names), np.int64, batch.num_rows)
    for part in np.unique(place):
        yield int(part), batch.filter(pa.array(place == part))


def _read_part(file: Path) -> pa.Table | None:
    if not file.exists():
        return None
    with pa.memory_map(str(file)) as source:
        return pa.ipc.open_file(source).read_all()


def _compare_part(changes: RowChanges, old: pa.Table | None, new: pa.Table | None, key: list[str]) -> None:
    if old is None or new is None:
        _note_lonely(changes, old, new, key)
        return
    old_place, new_place = _match(old, new, key)
    _note_lonely(changes, _without(old, old_place), _without(new, new_place), key)
    _note_pairs(changes, old.take(old_place), new.take(new_place), key)


def _note_lonely(changes: RowChanges, removed: pa.Table | None, added: pa.Table | None, key: list[str]) -> None:
    """Rows whose keys only one side has."""
    if removed is not None:
        changes.removed += removed.num_rows
        changes.removed_rows = _first([*changes.removed_rows, *_smallest(removed, key, changes.samples)], key, changes.samples)
    if added is not None:
        changes.added += added.num_rows
        changes.added_rows = _first([*changes.added_rows, *_smallest(added, key, changes.samples)], key, changes.samples)


def _note_pairs(changes: RowChanges, before: pa.Table, after: pa.Table, key: list[str]) -> None:
    """Rows of the same keys, side by side."""
    columns = [name for name in after.column_names if name in before.column_names and name not in key]
    differs = {name: _differs(before[name], after[name]) for name in columns}
    changed = np.logical_or.reduce(list(differs.values())) if differs else np.zeros(before.num_rows, bool)
    count = int(changed.sum())
    changes.changed += count
    changes.same += len(changed) - count
    changes.changed_columns.update({name: int(mask.sum()) for name, mask in differs.items() if mask.any()})
    sides = (_smallest(side.filter(pa.array(changed)), key, changes.samples) for side in (before, after))
    pairs = [*changes.changed_rows, *zip(*sides, strict=True)]
    changes.changed_rows = heapq.nsmallest(changes.samples, pairs, lambda pair: _key_of(pair[0], key))


def _match(old: pa.Table, new: pa.Table, key: list[str]) -> tuple[pa.ChunkedArray, pa.ChunkedArray]:
    """The places of rows of one key in both tables, side by side."""
    left, right = (
        table.select(key).append_column(name, pa.array(np.arange(table.num_rows)))
        for table, name in ((old, "old place"), (new, "new place"))
    )
    both = left.join(right, key, join_type="inner").combine_chunks()
    return both["old place"], both["new place"]


def _without(table: pa.Table, places: pa.ChunkedArray) -> pa.Table:
    left = np.ones(table.num_rows, bool)
    left[places.to_numpy()] = False
    return table.filter(pa.array(left))


def _smallest(table: pa.Table, key: list[str], count: int) -> list[Row]:
    """The rows with the smallest keys, in their order."""
    if not table.num_rows:
        return []
    places = pc.select_k_unstable(table.select(key), min(count, table.num_rows), [(name, "ascending") for name in key])
    rows: list[Row] = table.take(places).to_pylist()
    return rows


def _first(rows: list[Row], key: list[str], count: int) -> list[Row]:
    return heapq.nsmallest(count, rows, lambda row: _key_of(row, key))


def _key_of(row: Row, key: list[str]) -> tuple[str, ...]:
    return tuple(str(row[name]) for name in key)


def _differs(before: pa.ChunkedArray, after: pa.ChunkedArray) -> NDArray[np.bool_]:
    """Says which values differ; null is like null, NaN like NaN."""
    if before.type != after.type:
        return np.ones(len(before), bool)
    if pa.types.is_nested(before.type):
        return _lists_differ(before.combine_chunks(), after.combine_chunks())
    unequal = pc.fill_null(pc.not_equal(before, after), False)
    if pa.types.is_floating(before.type):
        unequal = pc.and_not(unequal, pc.fill_null(pc.and_(pc.is_nan(before), pc.is_nan(after)), False))
    return np.asarray(pc.or_(unequal, pc.not_equal(pc.is_null(before), pc.is_null(after))), bool)


def _lists_differ(before: pa.Array, after: pa.Array) -> NDArray[np.bool_]:
    """Vectors of one width are compared as arrays, all other lists as Python values."""
    if not _are_vectors(before, after):
        return np.array([a != b for a, b in zip(before.to_pylist(), after.to_pylist(), strict=True)], bool)
    old, new = (side.flatten().to_numpy(zero_copy_only=False).reshape(len(side), -1) for side in (before, after))
    found: NDArray[np.bool_] = ~((old == new) | (np.isnan(old) & np.isnan(new))).all(axis=1)
    return found


def _are_vectors(before: pa.Array, after: pa.Array) -> bool:
    if not pa.types.is_floating(before.type.value_type) or before.null_count or after.null_count or not len(before):
        return False
    widths = pc.min_max(pc.list_value_length(pa.chunked_array([before, after]))).as_py()
    return bool(widths["min"] == widths["max"] and widths["min"])
