"""The rows of the kept table of neighbours as Arrow, and what becomes of them. Plain functions, without Spark.

A list holds a listing's nearest others, nearest first, in the order of (distance, id). Shape suffixes: N lists, F candidates of
all of them, G candidates that are gained, T lists that change.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from spark.neighbours.search import CANDIDATES

Mask = NDArray[np.bool_]
Whole = NDArray[np.int64]
CANDIDATE = CANDIDATES.value_type
# ``bound``: every neighbour up to it, in the order of (distance, id), is among the candidates; null: every neighbour there is.
# ``changed_in``: the version of the table that changed the neighbours which views see.
ROWS = pa.schema(
    [
        pa.field("locale", pa.string()),
        pa.field("item_id", pa.string()),
        pa.field("candidates", CANDIDATES),
        pa.field("bound", CANDIDATE),
        pa.field("changed_in", pa.int64()),
    ]
)
HITS = pa.schema(
    [
        pa.field("locale", pa.string()),
        pa.field("item_id", pa.string()),
        pa.field("distance", pa.int32()),
        pa.field("neighbour_item_id", pa.string()),
    ]
)


@dataclass(frozen=True, kw_only=True)
class ListSizes:
    """How long lists are."""

    kept: int  # candidates of a list, at most
    seen: int  # of those that views see; a list that falls short of them is searched anew


@dataclass(frozen=True, kw_only=True)
class Gained:
    """Listings that lists may gain."""

    list_G: Whole  # the number of the list
    distance_G: Whole
    ids_G: pa.Array


@dataclass(frozen=True, kw_only=True)
class FollowedLists:
    """Holds what became of lists."""

    changed_T: Whole  # numbers of the lists that are not what they were
    rows: pa.Table  # those, as ROWS
    is_short_T: Mask  # of which too little is left


def find_gone(lists: pa.Table, gone: pa.Table) -> Mask:
    """``lost_F``: which candidates are among the listings (locale, item_id) that are gone."""
    flat_ids, parent_F = _flat_ids(lists), _parents(lists)
    lost_F = pc.is_in(flat_ids, gone["item_id"].combine_chunks()).to_numpy(zero_copy_only=False).copy()
    found = np.flatnonzero(lost_F)
    pairs = set(zip(gone["locale"].to_pylist(), gone["item_id"].to_pylist(), strict=True))
    locales, ids = (
        column.take(pa.array(places)).to_pylist() for column, places in ((lists["locale"], parent_F[found]), (flat_ids, found))
    )
    lost_F[found] = [pair in pairs for pair in zip(locales, ids, strict=True)]
    return lost_F


def follow_lists(lists: pa.Table, lost_F: Mask, gained: Gained, sizes: ListSizes, version: int) -> FollowedLists:
    """Take off what is lost, add what is gained within a list's bound."""
    gained = _within_bounds(lists, gained)
    parent_F = _parents(lists)
    changed_T = np.unique(np.concatenate([parent_F[lost_F], gained.list_G]))
    place_N = np.full(len(lists), -1, np.int64)
    place_N[changed_T] = np.arange(len(changed_T))
    kept = np.flatnonzero((place_N[parent_F] >= 0) & ~lost_F)
    candidates = lists["candidates"].combine_chunks().flatten()
    entries = pa.table(
        {
            "list": np.concatenate([place_N[parent_F[kept]], place_N[gained.list_G]]),
            "distance": pa.concat_arrays(
                [candidates.field("distance").take(pa.array(kept)), pa.array(gained.distance_G, pa.int32())]
            ),
            "id": pa.concat_arrays([candidates.field("neighbour_item_id").take(pa.array(kept)), gained.ids_G]),
            "is_new": np.arange(len(kept) + len(gained.list_G)) >= len(kept),
        }
    ).sort_by([("list", "ascending"), ("distance", "ascending"), ("id", "ascending")])
    length_T = np.bincount(entries["list"].to_numpy(), minlength=len(changed_T))
    rank = count_up(length_T)
    seen_lost = parent_F[lost_F & (_ranks(lists) < sizes.seen)]
    seen_gained = entries["list"].to_numpy()[entries["is_new"].to_numpy() & (rank < sizes.seen)]
    is_seen_T = np.isin(changed_T, seen_lost)
    is_seen_T[seen_gained] = True
    rows = _rows(lists, changed_T, entries.filter(pa.array(rank < sizes.kept)), np.minimum(length_T, sizes.kept))
    bounds = _bounds(rows, lists["bound"].combine_chunks().take(pa.array(changed_T)), length_T > sizes.kept)
    changed_in = np.where(is_seen_T, version, rows["changed_in"].to_numpy())
    rows = rows.set_column(3, ROWS.field("bound"), bounds).set_column(4, ROWS.field("changed_in"), pa.array(changed_in))
    is_short_T = bounds.is_valid().to_numpy(zero_copy_only=False) & (length_T < sizes.seen)
    return FollowedLists(changed_T=changed_T, rows=rows, is_short_T=is_short_T)


def keep_nearest(hits: pa.Table, k: int) -> pa.Table:
    """Of HITS the nearest ``k`` of each listing, in order."""
    ordered = hits.sort_by([(name, "ascending") for name in HITS.names])
    return ordered.filter(pa.array(count_up(_lengths(ordered)) < k))


def make_lists(listings: pa.Table, hits: pa.Table, k: int, version: int) -> pa.Table:
    """ROWS for listings (locale, item_id), of their nearest ``k`` as ``keep_nearest`` gives them."""
    owners = pa.table(list(listings.select(["locale", "item_id"]).columns), names=["locale", "item_id"])
    owners = owners.sort_by([("locale", "ascending"), ("item_id", "ascending")])
    first = np.flatnonzero(count_up(_lengths(hits)) == 0)
    length = dict(zip(_pairs(hits.take(pa.array(first))), _lengths(hits).tolist(), strict=True))
    length_N = np.array([length.get(key, 0) for key in _pairs(owners)], np.int64)
    candidates = _list_array(length_N, hits["distance"].combine_chunks(), hits["neighbour_item_id"].combine_chunks())
    blank = pa.nulls(len(owners), CANDIDATE)
    rows = pa.table([*owners.columns, candidates, blank, pa.repeat(version, len(owners)).cast(pa.int64())], schema=ROWS)
    return rows.set_column(3, ROWS.field("bound"), _bounds(rows, blank, length_N >= k))


def count_up(lengths: Whole) -> Whole:
    """0, 1, ... up to each length: [2, 3] → [0, 1, 0, 1, 2]."""
    return np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)


def _flat_ids(lists: pa.Table) -> pa.Array:
    return lists["candidates"].combine_chunks().flatten().field("neighbour_item_id")


def _list_lengths(lists: pa.Table) -> Whole:
    return pc.list_value_length(lists["candidates"]).to_numpy().astype(np.int64)


def _parents(lists: pa.Table) -> Whole:
    lengths_N = _list_lengths(lists)
    return np.repeat(np.arange(len(lengths_N)), lengths_N)


def _ranks(lists: pa.Table) -> Whole:
    return count_up(_list_lengths(lists))


def _within_bounds(lists: pa.Table, gained: Gained) -> Gained:
    bound = lists["bound"].combine_chunks().take(pa.array(gained.list_G))
    farthest, last = (pc.struct_field(bound, name) for name in ("distance", "neighbour_item_id"))
    distance = pa.array(gained.distance_G, pa.int32())
    tie = pc.and_(pc.equal(distance, farthest), pc.less_equal(gained.ids_G, last))
    is_within = pc.or_(bound.is_null(), pc.fill_null(pc.or_(pc.less(distance, farthest), tie), False))
    within = is_within.to_numpy(zero_copy_only=False)
    return Gained(list_G=gained.list_G[within], distance_G=gained.distance_G[within], ids_G=gained.ids_G.filter(is_within))


def _rows(lists: pa.Table, changed_T: Whole, entries: pa.Table, length_T: Whole) -> pa.Table:
    changed = lists.take(pa.array(changed_T))
    candidates = _list_array(length_T, entries["distance"].combine_chunks(), entries["id"].combine_chunks())
    return changed.set_column(2, ROWS.field("candidates"), candidates)


def _bounds(rows: pa.Table, before: pa.StructArray, is_full_N: Mask) -> pa.StructArray:
    """The last candidate where a list is full, what it was otherwise."""
    candidates = rows["candidates"].combine_chunks()
    full = np.flatnonzero(is_full_N)
    last = candidates.flatten().take(pa.array(candidates.offsets.to_numpy()[1:][full] - 1 - candidates.offsets[0].as_py()))
    both = pa.concat_arrays([before, last])
    place_N = np.arange(len(before))
    place_N[full] = len(before) + np.arange(len(full))
    return both.take(pa.array(place_N))


def _list_array(length_N: Whole, distances: pa.Array, ids: pa.Array) -> pa.ListArray:
    offsets = np.concatenate([[0], np.cumsum(length_N)]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), pa.StructArray.from_arrays([distances, ids], fields=list(CANDIDATE)))


def _lengths(ordered: pa.Table) -> Whole:
    """How many rows in turn each listing has."""
    if not len(ordered):
        return np.zeros(0, np.int64)
    is_first = np.ones(len(ordered), bool)
    for name in ("locale", "item_id"):
        column = ordered[name].combine_chunks()
        same = pc.equal(column[1:], column[:-1]).to_numpy(zero_copy_only=False)
        is_first[1:] = ~same if name == "locale" else is_first[1:] | ~same
    return np.diff(np.append(np.flatnonzero(is_first), len(ordered)))


def _pairs(rows: pa.Table) -> list[tuple[str, str]]:
    return list(zip(rows["locale"].to_pylist(), rows["item_id"].to_pylist(), strict=True))
