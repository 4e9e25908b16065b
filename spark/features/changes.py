"""Finds the listings by which two sources of feature views differ: inserted, changed, deleted.

The tables' logs name the files that only one of the two versions has; rows of those alone are compared.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import chain

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import MapType, StructType

from schemas.embedding import EMBEDDINGS
from schemas.listing import LISTINGS
from schemas.tables import Table
from schemas.workspace import Workspace
from spark.delta.changed_files import ChangedFiles, find_changed_files, read_files
from spark.delta.log import count_rows
from spark.delta.tables import spark_schema
from spark.features.catalogue import join_vectors, read_source
from spark.features.publication import FeatureSource

KEY = ["locale", "item_id"]
# Of all listings with a vector. Beyond it a view is built whole: by then that costs no more.
LARGEST_SHARE = 0.2


@dataclass(frozen=True, kw_only=True)
class ListingChanges:
    """Listings with a vector that differ between an older and a newer source, each once."""

    source: FeatureSource  # the older one
    rows: DataFrame  # locale, item_id, and ``older`` and ``newer``: its columns and vector there, null where it is not there
    columns: tuple[str, ...]  # columns of listings that were compared
    count: int

    def keys(self, columns: Sequence[str]) -> DataFrame:
        """Locale, item_id of the listings that differ in one of ``columns`` or in their vector."""
        return self._of(columns).select(*KEY)

    def newer(self, columns: Sequence[str]) -> DataFrame:
        """The same listings as they are now, as rows of a catalogue; see ``join_vectors``."""
        return _unpack(self._of(columns), "newer")

    def older(self, columns: Sequence[str]) -> DataFrame:
        """The same listings as they were."""
        return _unpack(self._of(columns), "older")

    def _of(self, columns: Sequence[str]) -> DataFrame:
        return self.rows.where(~_is_same([*columns, "vector"], self.rows.schema))


def find_changes(
    spark: SparkSession,
    workspace: Workspace,
    older: FeatureSource,
    newer: FeatureSource,
    columns: Sequence[str],
    *,
    follow_from: int = 0,
) -> ListingChanges | str:
    """The changes, held by the executors; or the reason why they cannot be found, or are not worth it.

    Changes of a catalogue of fewer than ``follow_from`` listings are not.
    """
    files = _changed_files(workspace, older, newer)
    if isinstance(files, str):
        return files
    keys = _changed_keys(spark, workspace, newer.space_id, files, columns).localCheckpoint()
    count, total = keys.count(), count_rows(workspace.table(EMBEDDINGS.name))
    if count and total < follow_from:
        return f"of {total} listings building whole takes no longer (--follow-from)"
    if count > LARGEST_SHARE * total:
        return f"{count} of {total} listings changed, which is more than {LARGEST_SHARE:.0%}"
    before, after = (_read_side(spark, workspace, source, keys, columns) for source in (older, newer))
    both = before.withColumnRenamed("row", "older").join(after.withColumnRenamed("row", "newer"), KEY, "full_outer")
    return ListingChanges(source=older, rows=both.localCheckpoint(), columns=tuple(columns), count=count)


def _changed_files(workspace: Workspace, older: FeatureSource, newer: FeatureSource) -> dict[str, ChangedFiles] | str:
    versions = {
        LISTINGS.name: (older.listings_version, newer.listings_version),
        EMBEDDINGS.name: (older.embeddings_version, newer.embeddings_version),
    }
    found = {}
    for name, (before, after) in versions.items():
        files = find_changed_files(workspace.table(name), before, after)
        if files is None:
            return f"version {before} of {name} cannot be read any more"
        found[name] = files
    return found


def _changed_keys(
    spark: SparkSession, workspace: Workspace, space_id: str, files: dict[str, ChangedFiles], columns: Sequence[str]
) -> DataFrame:
    """Keys whose row in one of the tables is not what it was, whether or not the other table has one for it."""
    listings = _compare(spark, workspace, LISTINGS, files[LISTINGS.name], columns, F.lit(True))
    in_space = F.col("space_id") == space_id
    embeddings = _compare(spark, workspace, EMBEDDINGS, files[EMBEDDINGS.name], ["vector"], in_space)
    return listings.unionByName(embeddings).distinct()


def _compare(
    spark: SparkSession, workspace: Workspace, table: Table, files: ChangedFiles, columns: Sequence[str], where: Column
) -> DataFrame:
    """Keys whose row is in one side's files only, or is another there than here."""
    named = [*KEY, *columns, *(["space_id"] if table is EMBEDDINGS else [])]
    schema = StructType([field for field in spark_schema(table).fields if field.name in named])
    digest = _digest(columns, schema).alias("digest")
    sides = (
        read_files(spark, workspace.table(table.name), paths, schema).where(where).select(*KEY, digest)
        for paths in (files.removed, files.added)
    )
    rows = reduce(DataFrame.unionByName, sides).groupBy(*KEY)
    seen = rows.agg(F.count(F.lit(1)).alias("rows"), F.min("digest").alias("least"), F.max("digest").alias("greatest"))
    return seen.where("rows <> 2 or least <> greatest").select(*KEY)


def _digest(columns: Sequence[str], schema: StructType) -> Column:
    """A 64-bit hash. A hash skips nulls, so that each value comes with whether it is there."""
    values = ((F.col(name).isNull(), _comparable(name, schema)) for name in columns)
    return F.xxhash64(F.lit(0), *chain.from_iterable(values))


def _comparable(name: str, schema: StructType, prefix: str = "") -> Column:
    """The column, as something that can be hashed and compared: a map as its JSON."""
    column = F.col(f"{prefix}{name}")
    return F.to_json(column) if isinstance(schema[name].dataType, MapType) else column


def _read_side(
    spark: SparkSession, workspace: Workspace, source: FeatureSource, keys: DataFrame, columns: Sequence[str]
) -> DataFrame:
    """The catalogue's rows with these keys at a source, each as one struct called ``row``."""
    listings, embeddings = (rows.join(F.broadcast(keys), KEY, "left_semi") for rows in read_source(spark, workspace, source))
    joined = join_vectors(listings, embeddings, columns)
    return joined.select(*KEY, F.struct(*columns, "space_id", "vector").alias("row"))


def _is_same(columns: Sequence[str], schema: StructType) -> Column:
    fields: StructType = schema["newer"].dataType  # type: ignore[assignment]
    pairs = ((_comparable(name, fields, "older."), _comparable(name, fields, "newer.")) for name in columns)
    return reduce(Column.__and__, (before.eqNullSafe(after) for before, after in pairs))


def _unpack(rows: DataFrame, name: str) -> DataFrame:
    return rows.where(F.col(name).isNotNull()).select(*KEY, f"{name}.*")
