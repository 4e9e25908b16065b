"""Brings the kept table of neighbours up to date with listings that changed.

A list loses the candidates that are gone and gains the changed listings that lie within its bound. It is searched anew only
where too few candidates are left. Everything is exact within the cells that a listing visits, as a whole search is.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import pyarrow as pa
import pyarrow.compute as pc
from deltalake.transaction import AddAction
from pyspark.sql import SparkSession

from m5model.files.delta import open_delta
from spark.delta.data_files import DataFile
from spark.delta.data_rows import join_keys, reduce_tasks, write_rows
from spark.delta.rewrite import add_action, clear_leftovers, commit_files, name_prefix
from spark.neighbours.bucket_pass import Bucket, Found, Pass, look_at_bucket
from spark.neighbours.kept import KeptCells
from spark.neighbours.list_rows import ListSizes, make_lists
from spark.neighbours.lists import NeighbourLists
from spark.neighbours.near_changes import place_sought
from spark.neighbours.settings import NeighbourSettings

NO_VALUE = ""


@dataclass(frozen=True, kw_only=True)
class VectorChanges:
    """Listings whose vector is another now, that are new, or that are gone."""

    older: pa.Table  # locale, item_id of those that were there
    newer: pa.Table  # locale, item_id, vector, bucket of those that are there


@dataclass(frozen=True, kw_only=True)
class Search:
    """Holds what the search of changed listings works with."""

    vectors_path: str  # of the table of vectors, in buckets
    vectors: Sequence[DataFile]  # its files as they are now
    space_id: str
    cells: KeptCells  # of all locales
    settings: NeighbourSettings  # its k: as many as a list keeps


def follow_changes(
    spark: SparkSession, lists: NeighbourLists, changes: VectorChanges, search: Search, sizes: ListSizes, metadata: str
) -> NeighbourLists | str:
    """Commit the next version of the table; or say why all must be searched anew."""
    version = lists.version + 1
    clear_leftovers(lists.path, version)
    cells = search.cells.cut(search.cells.rows, search.settings)
    sought = place_sought(changes.newer, cells, search.settings, offered=True)
    common = Pass(
        lists_path=lists.path,
        vectors_path=search.vectors_path,
        space_id=search.space_id,
        cells=cells,
        settings=search.settings,
        sizes=sizes,
        gone=changes.older.select(["locale", "item_id"]),
        new=join_keys(changes.newer),
        sought=sought,
        writes=name_prefix(version),
        version=version,
    )
    buckets = _pair_buckets(lists.files(), search.vectors)
    found = reduce_tasks(spark, buckets, look_at_bucket, common, Found.plus)
    refused = _refuse(found, changes.newer, search)
    if found is None or refused:
        clear_leftovers(lists.path, version)
        return refused
    rows = _searched_rows(changes.newer, found, search, version)
    if len(found.short):
        again = replace(common, sought=place_sought(found.short, cells, search.settings, offered=False), writes="")
        searched = reduce_tasks(spark, buckets, look_at_bucket, again, Found.plus)
        if searched is not None:
            rows = pa.concat_tables([rows, _searched_rows(found.short, searched, search, version)])
    _commit(lists, found, rows, version, metadata)
    return NeighbourLists(path=lists.path, version=version)


def _refuse(found: Found | None, newer: pa.Table, search: Search) -> str:
    """Why the lists cannot follow; empty where they can."""
    rows = Counter(found.expected if found else {}) + Counter(newer["locale"].to_pylist())
    if found is None or found.matched != rows.total():
        return "the kept neighbours are not those of the listings that have a vector"
    if search.cells.has_outgrown(rows, search.settings):
        return "a locale has outgrown the cells that its neighbours are searched in"
    return ""


def _pair_buckets(lists: Sequence[DataFile], vectors: Sequence[DataFile]) -> list[Bucket]:
    names = sorted({file.partition["bucket"] or NO_VALUE for file in (*lists, *vectors)})
    return [
        Bucket(
            bucket=name,
            lists=tuple(file for file in lists if file.partition["bucket"] == name),
            vectors=tuple(file for file in vectors if file.partition["bucket"] == name),
        )
        for name in names
    ]


def _searched_rows(sought: pa.Table, found: Found, search: Search, version: int) -> pa.Table:
    """Lists of listings that were sought, with the bucket that they belong to."""
    rows = make_lists(sought, found.hits, search.settings.k, version)
    place = pc.index_in(join_keys(rows), join_keys(sought))
    return rows.append_column("bucket", sought["bucket"].take(place))


def _commit(lists: NeighbourLists, found: Found, rows: pa.Table, version: int, metadata: str) -> None:
    added: list[AddAction] = []
    removed: list[str] = []
    for outcome in found.lists:
        removed += outcome.files
        if outcome.written:
            added.append(add_action(outcome.written, {"bucket": outcome.bucket}))
    for bucket in pc.unique(rows["bucket"]).to_pylist():
        part = rows.filter(pc.equal(rows["bucket"], bucket)).drop_columns(["bucket"])
        written = write_rows(lists.path, f"bucket={bucket}/{name_prefix(version)}", part)
        if written:
            added.append(add_action(written, {"bucket": str(bucket)}))
    commit_files(open_delta(lists.path, lists.version), lists.path, added, removed, metadata)
