"""Finds the listings by which two sources of feature views differ: inserted, changed, deleted.

The tables' logs name the files that only one of the two versions has; rows of those alone are compared. What changed is then
held by the driver: MOST_KEYS bounds it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql import SparkSession

from schemas.embedding import EMBEDDINGS
from schemas.listing import LISTINGS
from schemas.workspace import Workspace
from spark.delta.changed_files import TwoVersions, compare_versions
from spark.delta.data_rows import find_places, join_keys
from spark.delta.differing import find_differing, plan_comparisons, values_differ
from spark.delta.log import count_rows
from spark.features.changed_rows import NEWER, OLDER, catalogue_schemas, read_sides, table_schema
from spark.features.publication import FeatureSource

KEY = ["locale", "item_id"]
# Of all listings with a vector. Beyond it a view is built whole: by then that costs no more.
LARGEST_SHARE = 0.2
# The driver holds two rows of each, and every worker their vectors: 100,000 x 2 x 384 x 4 B = 300 MB.
MOST_KEYS = 100_000
# By contract a vector is a function of the text and the space. A row that was written again counts as changed, until its vector
# says otherwise.
WRITTEN = ("fingerprint", "embedded_at", "run_id")
VECTOR = "vector"
Mask = NDArray[np.bool_]
Places = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class ListingChanges:
    """Listings with a vector that may differ between an older and a newer source, each once.

    Shape suffix: K of them. Rows are those of a catalogue (see ``join_vectors``), with the bucket of their vector.
    """

    source: FeatureSource  # the older one
    files: Mapping[str, TwoVersions]  # of the tables of listings and of embeddings
    listings: pa.Table  # K keys: locale, item_id
    older_rows: pa.Table
    newer_rows: pa.Table
    older_K: Places  # the row of each in ``older_rows``; -1 where it was not there
    newer_K: Places
    differs: Mapping[str, Mask]  # by column that was compared, ``vector`` too

    def keys(self, columns: Sequence[str]) -> pa.Table:
        """Locale, item_id of the listings that differ in one of ``columns`` or in their vector."""
        return self.listings.filter(pa.array(self._changed(columns)))

    def newer(self, columns: Sequence[str]) -> pa.Table:
        """The same listings as they are now."""
        return _take(self.newer_rows, self.newer_K[self._changed(columns)], columns)

    def older(self, columns: Sequence[str]) -> pa.Table:
        """The same listings as they were."""
        return _take(self.older_rows, self.older_K[self._changed(columns)], columns)

    def _changed(self, columns: Sequence[str]) -> Mask:
        return reduce(np.logical_or, (self.differs[name] for name in (*columns, VECTOR)))


def find_changes(
    spark: SparkSession,
    workspace: Workspace,
    older: FeatureSource,
    newer: FeatureSource,
    columns: Sequence[str],
    *,
    follow_from: int = 0,
) -> ListingChanges | str:
    """The changes; or the reason why they cannot be found, or are not worth it.

    Changes of a catalogue of fewer than ``follow_from`` listings are not.
    """
    versions = _compare_versions(workspace, older, newer)
    if isinstance(versions, str):
        return versions
    total = count_rows(workspace.table(EMBEDDINGS.name))
    if total < follow_from:
        return f"of {total} listings building whole takes no longer (--follow-from)"
    most = min(MOST_KEYS, int(LARGEST_SHARE * total))
    keys = _changed_keys(spark, newer.space_id, versions, columns, WRITTEN)
    if len(keys) > most:
        keys = _changed_keys(spark, newer.space_id, versions, columns, (VECTOR,))
    if len(keys) > most:
        return f"{len(keys)} of {total} listings changed, which is more than {min(LARGEST_SHARE, most / total):.0%}"
    sides = read_sides(spark, versions, catalogue_schemas(columns, vectors=True), keys, newer.space_id)
    return _align(older, versions, keys, sides[OLDER], sides[NEWER], columns)


def _compare_versions(workspace: Workspace, older: FeatureSource, newer: FeatureSource) -> dict[str, TwoVersions] | str:
    versions = {
        LISTINGS.name: (older.listings_version, newer.listings_version),
        EMBEDDINGS.name: (older.embeddings_version, newer.embeddings_version),
    }
    found = {}
    for name, (before, after) in versions.items():
        files = compare_versions(workspace.table(name), before, after)
        if files is None:
            return f"version {before} of {name} cannot be read any more"
        found[name] = files
    return found


def _changed_keys(
    spark: SparkSession, space_id: str, versions: Mapping[str, TwoVersions], columns: Sequence[str], written: Sequence[str]
) -> pa.Table:
    """Keys whose row in one of the tables is not what it was, whether or not the other table has one for it."""
    of_listings = table_schema(LISTINGS, columns)
    of_embeddings = table_schema(EMBEDDINGS, ("space_id", *written))
    comparisons = [
        *plan_comparisons(versions[LISTINGS.name], of_listings),
        *plan_comparisons(versions[EMBEDDINGS.name], of_embeddings, only=("space_id", space_id)),
    ]
    return find_differing(spark, comparisons)


def _align(
    source: FeatureSource,
    files: Mapping[str, TwoVersions],
    keys: pa.Table,
    older: pa.Table,
    newer: pa.Table,
    columns: Sequence[str],
) -> ListingChanges:
    older_K, newer_K = (find_places(join_keys(keys), join_keys(rows)) for rows in (older, newer))
    is_there = (older_K >= 0) | (newer_K >= 0)  # not of listings that never had a vector
    older_K, newer_K = older_K[is_there], newer_K[is_there]
    both = (older_K >= 0) & (newer_K >= 0)
    differs = {}
    for name in (*columns, VECTOR):
        differs[name] = ~both
        differs[name][both] = values_differ(
            older[name].combine_chunks().take(pa.array(older_K[both])),
            newer[name].combine_chunks().take(pa.array(newer_K[both])),
        )
    return ListingChanges(
        source=source,
        files=files,
        listings=keys.filter(pa.array(is_there)),
        older_rows=older,
        newer_rows=newer,
        older_K=older_K,
        newer_K=newer_K,
        differs=differs,
    )


def _take(rows: pa.Table, places_K: Places, columns: Sequence[str]) -> pa.Table:
    named = list(dict.fromkeys([*KEY, *columns, "space_id", VECTOR, "bucket"]))
    return rows.select(named).take(pa.array(places_K[places_K >= 0]))
