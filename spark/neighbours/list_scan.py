"""Looks through the kept lists for those that a change concerns: the bodies of tasks, a file each."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import SparkSession

from spark.delta.data_files import DataFile
from spark.delta.data_rows import join_keys, read_rows, scan_files
from spark.neighbours.list_rows import ROWS, count_up

Mask = np.ndarray
TOUCHED = ROWS.append(pa.field("is_moved", pa.bool_()))
PAIRS = pa.schema(
    [
        pa.field("locale", pa.string()),
        pa.field("item_id", pa.string()),
        pa.field("neighbour_item_id", pa.string()),
        pa.field("distance", pa.int32()),
        pa.field("rank", pa.int32()),
    ]
)


@dataclass(frozen=True, kw_only=True)
class Touch:
    """Says which lists are wanted."""

    path: str  # of the table
    listings: pa.Table  # locale, item_id
    older_version: int  # lists that changed since
    seen: int  # neighbours of a list that are looked at


@dataclass(frozen=True, kw_only=True)
class PairsAsked:
    """Says which neighbours are wanted: those of the listings, and where ``both`` those that a listing is among."""

    path: str  # of the table
    listings: pa.Table  # locale, item_id
    both: bool
    most: int  # of a list
    farthest: int  # distance


def find_touched(spark: SparkSession, files: Sequence[DataFile], touch: Touch) -> pa.Table:
    """TOUCHED rows: the lists that changed, those of the listings, and those that one of the listings is in."""
    return pa.concat_tables([TOUCHED.empty_table(), *scan_files(spark, files, _touched_of, touch)])


def find_pairs(spark: SparkSession, files: Sequence[DataFile], asked: PairsAsked) -> pa.Table:
    """PAIRS rows: a listing, one of its neighbours, and which one in turn that is."""
    return pa.concat_tables([PAIRS.empty_table(), *scan_files(spark, files, _pairs_of, asked)])


def explode_lists(lists: pa.Table, *, most: int, farthest: int) -> pa.Table:
    """PAIRS of rows of lists: at most the nearest ``most`` of each, no farther than the distance ``farthest``."""
    candidates = lists["candidates"].combine_chunks()
    length_N = pc.list_value_length(candidates).to_numpy(zero_copy_only=False).astype(np.int64)
    flat, rank_F = candidates.flatten(), count_up(length_N) + 1
    is_wanted_F = (rank_F <= most) & (flat.field("distance").to_numpy() <= farthest)
    wanted = pa.array(np.flatnonzero(is_wanted_F))
    parent = pa.array(np.repeat(np.arange(len(length_N)), length_N)[is_wanted_F])
    columns = [
        lists["locale"].take(parent),
        lists["item_id"].take(parent),
        flat.field("neighbour_item_id").take(wanted),
        flat.field("distance").take(wanted),
        pa.array(rank_F[is_wanted_F], pa.int32()),
    ]
    return pa.table(columns, schema=PAIRS)


def is_among(rows: pa.Table, names: Sequence[str], listings: pa.Table) -> pa.Array:
    """Which rows name one of the listings (locale, item_id) in their columns ``names``."""
    return pc.is_in(join_keys(rows, names), join_keys(listings))


def _touched_of(file: DataFile, touch: Touch) -> pa.Table:
    return pa.concat_tables([TOUCHED.empty_table(), *(_touched(rows, touch) for rows in read_rows(touch.path, file, ROWS))])


def _touched(lists: pa.Table, touch: Touch) -> pa.Table:
    is_moved = pc.greater(lists["changed_in"], touch.older_version)
    is_own = is_among(lists, ("locale", "item_id"), touch.listings)
    is_near = pa.array(_hold_some(lists, touch))
    wanted = pc.or_(pc.or_(is_own, is_near), is_moved.combine_chunks())
    return lists.append_column("is_moved", is_moved).filter(wanted)


def _hold_some(lists: pa.Table, touch: Touch) -> Mask:
    """Which lists have one of the listings among the neighbours that are looked at."""
    candidates = lists["candidates"].combine_chunks()
    length_N = pc.list_value_length(candidates).to_numpy(zero_copy_only=False).astype(np.int64)
    ids = candidates.flatten().field("neighbour_item_id")
    # Ids first, which are few and short; then the locale, of the few that are found.
    is_found_F = pc.is_in(ids, touch.listings["item_id"].combine_chunks()).to_numpy(zero_copy_only=False)
    found = np.flatnonzero(is_found_F & (count_up(length_N) < touch.seen))
    parent = np.repeat(np.arange(len(length_N)), length_N)[found]
    pairs = pa.table([lists["locale"].take(pa.array(parent)), ids.take(pa.array(found))], names=["locale", "item_id"])
    holds = np.zeros(len(lists), bool)
    holds[parent[is_among(pairs, ("locale", "item_id"), touch.listings).to_numpy(zero_copy_only=False)]] = True
    return holds


def _pairs_of(file: DataFile, asked: PairsAsked) -> pa.Table:
    return pa.concat_tables([PAIRS.empty_table(), *(_pairs(rows, asked) for rows in read_rows(asked.path, file, ROWS))])


def _pairs(lists: pa.Table, asked: PairsAsked) -> pa.Table:
    pairs = explode_lists(lists, most=asked.most, farthest=asked.farthest)
    wanted = is_among(pairs, ("locale", "item_id"), asked.listings)
    if asked.both:
        wanted = pc.or_(wanted, is_among(pairs, ("locale", "neighbour_item_id"), asked.listings))
    return pairs.filter(wanted)
