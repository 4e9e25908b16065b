"""Finds the keys whose rows two versions of a table do not share: the body of tasks, a partition's files each.

A row stays in its partition, so that the rows of a key lie in the files of one task. Columns are read and compared one after
the other: a task holds the keys of its partition, and one column of it, twice.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyspark.sql import SparkSession

from spark.delta.changed_files import TwoVersions
from spark.delta.data_files import DataFile
from spark.delta.data_rows import KEY, NO_ROW, find_places, join_keys, read_file, run_tasks

Mask = NDArray[np.bool_]
Places = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Holds what is compared of one partition of a table."""

    path: str  # of the table
    schema: pa.Schema  # KEY, the column of ``only``, and the columns that are compared
    only: tuple[str, str] | None  # a column and the value that rows must have in it
    older: tuple[DataFile, ...]  # files that only the older version has
    newer: tuple[DataFile, ...]


def plan_comparisons(versions: TwoVersions, schema: pa.Schema, only: tuple[str, str] | None = None) -> list[Comparison]:
    """A comparison for each partition that a file came into or went out of."""
    parts: dict[tuple[tuple[str, str | None], ...], tuple[list[DataFile], list[DataFile]]] = {}
    for side, files in enumerate((versions.removed, versions.added)):
        for file in files:
            parts.setdefault(tuple(sorted(file.partition.items())), ([], []))[side].append(file)
    return [
        Comparison(path=versions.path, schema=schema, only=only, older=tuple(older), newer=tuple(newer))
        for older, newer in parts.values()
    ]


def find_differing(spark: SparkSession, comparisons: Sequence[Comparison]) -> pa.Table:
    """Locale, item_id of all keys whose row is on one side alone, or is another on the other side."""
    largest_first = sorted(comparisons, key=lambda one: -sum(file.size for file in (*one.older, *one.newer)))
    none = pa.schema([(name, pa.string()) for name in KEY]).empty_table()
    found = pa.concat_tables([none, *run_tasks(spark, largest_first, compare_partition, None)])
    return found.group_by(list(KEY)).aggregate([])


def values_differ(before: pa.Array, after: pa.Array) -> Mask:
    """Says which values of two columns of one type are not the same; null is the same as null alone."""
    kind = before.type
    if pa.types.is_map(kind):
        return values_differ(_as_lists(before), _as_lists(after))
    is_null_in_one = pc.not_equal(before.is_null(), after.is_null()).to_numpy(zero_copy_only=False)
    if pa.types.is_list(kind):
        return is_null_in_one | _lists_differ(before, after)
    if pa.types.is_struct(kind):
        fields = zip(before.flatten(), after.flatten(), strict=True)
        return np.logical_or.reduce([is_null_in_one, *(values_differ(one, other) for one, other in fields)])
    unequal = pc.fill_null(pc.not_equal(before, after), False)
    return is_null_in_one | unequal.to_numpy(zero_copy_only=False)


def list_entries(maps: pa.MapArray) -> tuple[Places, pa.StructArray]:
    """All entries of a column of maps, as key and value; and the place of the map that each is from."""
    lists = _as_lists(maps)
    lengths = pc.fill_null(pc.list_value_length(lists), 0).to_numpy(zero_copy_only=False)
    return np.repeat(np.arange(len(lists)), lengths), lists.flatten()


def _as_lists(maps: pa.MapArray) -> pa.ListArray:
    kind = maps.type
    return maps.cast(pa.list_(pa.struct([pa.field("key", kind.key_type), pa.field("value", kind.item_type)])))


def _lists_differ(before: pa.ListArray, after: pa.ListArray) -> Mask:
    """A null list counts as an empty one."""
    lengths = [pc.fill_null(pc.list_value_length(side), 0).to_numpy(zero_copy_only=False) for side in (before, after)]
    differs = lengths[0] != lengths[1]
    same = np.flatnonzero(~differs)
    children = values_differ(*(side.take(pa.array(same)).flatten() for side in (before, after)))
    differs[np.repeat(same, lengths[0][same])[children]] = True
    return differs


def compare_partition(one: Comparison, _: None = None) -> pa.Table:
    """KEY of the partition's rows that differ, once or twice."""
    keys = [_read_keys(one, files) for files in (one.older, one.newer)]
    older_keys, newer_keys = (join_keys(side.keys) for side in keys)
    older_N = find_places(newer_keys, older_keys)
    newer_N = np.flatnonzero(older_N != NO_ROW)
    differs_N = older_N == NO_ROW
    for name in one.schema.names:
        if name not in keys[0].keys.column_names:
            before, after = (_read_column(one, files, name) for files in (one.older, one.newer))
            rows = before.take(pa.array(keys[0].places[older_N[newer_N]])), after.take(pa.array(keys[1].places[newer_N]))
            differs_N[newer_N] |= values_differ(*rows)
    is_gone = pc.invert(pc.is_in(older_keys, newer_keys))
    both = keys[1].keys.filter(pa.array(differs_N)), keys[0].keys.filter(is_gone)
    return pa.concat_tables([side.select(list(KEY)) for side in both])


@dataclass(frozen=True, kw_only=True)
class _Keys:
    keys: pa.Table
    places: Places  # of their rows in the files


def _read_keys(one: Comparison, files: Sequence[DataFile]) -> _Keys:
    rows = _read(one, files, (*KEY, *(one.only[:1] if one.only else ())))
    is_wanted = np.ones(len(rows), bool)
    if one.only:
        name, value = one.only
        is_wanted = pc.fill_null(pc.equal(rows[name], value), False).to_numpy()
    return _Keys(keys=rows.filter(pa.array(is_wanted)), places=np.flatnonzero(is_wanted))


def _read_column(one: Comparison, files: Sequence[DataFile], name: str) -> pa.Array:
    return _read(one, files, (name,))[name].combine_chunks()


def _read(one: Comparison, files: Sequence[DataFile], names: Sequence[str]) -> pa.Table:
    schema = pa.schema([one.schema.field(name) for name in names])
    return pa.concat_tables([schema.empty_table(), *(read_file(file, (one.path, schema)) for file in files)])
