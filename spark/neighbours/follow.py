"""Brings the kept table of neighbours up to date with listings that changed.

A list loses the candidates that are gone and gains the changed listings that lie within its bound. It is searched anew only
where too few candidates are left. Everything is exact within the cells that a listing visits, as a whole search is.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from spark.delta.log import count_rows
from spark.delta.rewrite import Rewrite, rewrite_rows
from spark.neighbours.cells import LocaleCells
from spark.neighbours.lists import CANDIDATE, KEY, NeighbourLists, bound_of
from spark.neighbours.locales import split_by_locale
from spark.neighbours.near_changes import place_sought, search_near
from spark.neighbours.search import CANDIDATES
from spark.neighbours.settings import NeighbourSettings
from spark.vectors.top_k import MICRO

Batches = Iterator[pa.RecordBatch]
Found = tuple[int, str]  # distance, id
FOLLOWED = (
    f"locale string, item_id string, candidates array<{CANDIDATE}>, bound {CANDIDATE}, changed_in bigint, "
    "is_short boolean, is_seen boolean"
)
_CANDIDATE = CANDIDATES.value_type
FOLLOWED_ROWS = pa.schema(
    [
        pa.field("locale", pa.string()),
        pa.field("item_id", pa.string()),
        pa.field("candidates", CANDIDATES),
        pa.field("bound", _CANDIDATE),
        pa.field("changed_in", pa.int64()),
        pa.field("is_short", pa.bool_()),
        pa.field("is_seen", pa.bool_()),
    ]
)
FARTHEST = MICRO  # of distances, which are negative millionths of a cosine
# Listings whose keys every task can hold: some 200 MB. Beyond, vectors are shuffled to them.
BROADCAST_ROWS = 2_000_000


@dataclass(frozen=True, kw_only=True)
class VectorChanges:
    """Listings whose vector is another now, that are new, or that are gone."""

    older: DataFrame  # locale, item_id of those that were there
    newer: DataFrame  # locale, item_id, vector of those that are there


@dataclass(frozen=True, kw_only=True)
class ListSizes:
    """How long lists are."""

    kept: int  # candidates of a list, at most
    seen: int  # of those that views see; a list that falls short of them is searched anew


@dataclass(frozen=True, kw_only=True)
class Search:
    """Holds what the search of changed listings works with."""

    embeddings: DataFrame  # locale, item_id, vector of at least the listings that there are
    cells: Mapping[str, LocaleCells]
    settings: NeighbourSettings  # its k: as many as a list keeps


def follow_changes(
    lists: NeighbourLists, changes: VectorChanges, search: Search, sizes: ListSizes, metadata: str
) -> NeighbourLists:
    """Commit the next version of the table."""
    before = lists.read(search.embeddings.sparkSession)
    present = _present(before, changes, count_rows(lists.path))
    near = _search(changes.newer, present, search, offered=True).localCheckpoint()
    followed = _follow(before, near, changes, sizes).localCheckpoint()
    new = changes.newer.select(*KEY).join(near, KEY, "left")
    again = _search_short(followed, present, search)
    version = lists.version + 1
    rows = _followed_rows(followed, version)
    for searched in (new, again):
        rows = rows.unionByName(_searched_rows(searched, search.settings.k, version))
    rows = rows.localCheckpoint()
    keys = rows.select(*KEY).unionByName(changes.older.select(*KEY)).distinct()
    rewrite_rows(Rewrite(path=lists.path, version=lists.version, keys=keys, on=(tuple(KEY),), rows=rows), metadata)
    return NeighbourLists(path=lists.path, version=version)


def _present(before: DataFrame, changes: VectorChanges, rows: int) -> DataFrame:
    """Locale, item_id, worst: the listings that there are, and how far a new neighbour of theirs may be."""
    known = before.join(F.broadcast(changes.older.select(*KEY)), KEY, "left_anti")
    worst = F.coalesce("bound.distance", F.lit(FARTHEST)).cast("int").alias("worst")
    unknown = changes.newer.select(*KEY, F.lit(FARTHEST).cast("int").alias("worst"))
    present = known.select(*KEY, worst).unionByName(unknown)
    return F.broadcast(present) if rows <= BROADCAST_ROWS else present


def _search(wanted: DataFrame, present: DataFrame, search: Search, *, offered: bool) -> DataFrame:
    sought = place_sought(wanted.select(*KEY, "vector").toArrow(), search.cells, search.settings, offered=offered)
    vectors = search.embeddings.select(*KEY, "vector").join(present, KEY)
    return search_near(vectors, sought, search.cells, search.settings)


def _follow(before: DataFrame, near: DataFrame, changes: VectorChanges, sizes: ListSizes) -> DataFrame:
    """Rows of FOLLOWED: the lists of unchanged listings that are not what they were."""
    touched = changes.older.select(*KEY).unionByName(changes.newer.select(*KEY)).distinct()
    others = before.join(F.broadcast(touched), KEY, "left_anti")
    with_near = others.join(near.withColumnRenamed("candidates", "near"), KEY, "left")
    return with_near.mapInArrow(_follower(_ids_by_locale(changes.older), sizes), FOLLOWED)


def _search_short(followed: DataFrame, present: DataFrame, search: Search) -> DataFrame:
    """Locale, item_id, candidates of lists of which too little is left."""
    short = followed.where("is_short").select(*KEY)
    if short.isEmpty():
        return short.withColumn("candidates", F.lit(None).cast(f"array<{CANDIDATE}>"))
    wanted = search.embeddings.join(F.broadcast(short), KEY, "left_semi")
    return short.join(_search(wanted, present, search, offered=False), KEY, "left")


def _followed_rows(followed: DataFrame, version: int) -> DataFrame:
    changed_in = F.when(F.col("is_seen"), F.lit(version)).otherwise(F.col("changed_in")).cast("long").alias("changed_in")
    return followed.where("not is_short").select(*KEY, "candidates", "bound", changed_in)


def _searched_rows(searched: DataFrame, k: int, version: int) -> DataFrame:
    filled = searched.withColumn("candidates", F.coalesce("candidates", F.array().cast(f"array<{CANDIDATE}>")))
    return filled.select(*KEY, "candidates", bound_of("candidates", k), F.lit(version).cast("long").alias("changed_in"))


def _ids_by_locale(keys: DataFrame) -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    rows = keys.select(*KEY).toArrow()
    for locale, item_id in zip(rows["locale"].to_pylist(), rows["item_id"].to_pylist(), strict=True):
        found.setdefault(locale, set()).add(item_id)
    return {locale: frozenset(ids) for locale, ids in found.items()}


def _follower(gone: dict[str, frozenset[str]], sizes: ListSizes) -> Callable[[Batches], Batches]:
    def follow(batches: Batches) -> Batches:
        for batch in batches:
            for locale, part in split_by_locale(batch):
                ids = gone.get(locale, frozenset())
                touched = part.filter(pa.array(_loses(part["candidates"], ids) | part["near"].is_valid().to_numpy(False)))
                rows = [row for old in touched.to_pylist() if (row := follow_row(old, ids, sizes))]
                if rows:
                    yield pa.RecordBatch.from_pylist(rows, FOLLOWED_ROWS)

    return follow


def _loses(candidates: pa.ListArray, gone: frozenset[str]) -> np.ndarray:
    """Which lists have a candidate that is gone."""
    is_gone = pc.is_in(candidates.flatten().field("neighbour_item_id"), pa.array(sorted(gone), pa.string()))
    counts = np.concatenate([[0], np.cumsum(is_gone.to_numpy(zero_copy_only=False))])
    offsets = candidates.offsets.to_numpy()
    return counts[offsets[1:] - offsets[0]] > counts[offsets[:-1] - offsets[0]]


def follow_row(row: dict[str, Any], gone: frozenset[str], sizes: ListSizes) -> dict[str, Any] | None:
    """The list without what is gone and with the near ones within its bound; None where that leaves it as it was."""
    before, near = ([_pair(found) for found in row[name] or ()] for name in ("candidates", "near"))
    bound = None if row["bound"] is None else _pair(row["bound"])
    after = sorted([pair for pair in before if pair[1] not in gone] + [pair for pair in near if bound is None or pair <= bound])
    if after == before:
        return None
    if len(after) > sizes.kept:
        after = after[: sizes.kept]
        bound = after[-1]
    return {
        "locale": row["locale"],
        "item_id": row["item_id"],
        "candidates": [_candidate(pair) for pair in after],
        "bound": None if bound is None else _candidate(bound),
        "changed_in": row["changed_in"],
        "is_short": bound is not None and len(after) < sizes.seen,
        "is_seen": after[: sizes.seen] != before[: sizes.seen],
    }


def _pair(found: dict[str, Any]) -> Found:
    return found["distance"], found["neighbour_item_id"]


def _candidate(pair: Found) -> dict[str, Any]:
    return {"distance": pair[0], "neighbour_item_id": pair[1]}
