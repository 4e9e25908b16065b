"""The kept table of neighbours: every listing with its nearest ones, each version named after the source that it is of.

It holds more neighbours than views ask for, so that a listing keeps enough when some of them go.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from m5model.files.delta import open_delta
from m5model.files.delta_log import list_versions
from schemas.canonical import canonical_json
from schemas.report import JsonValue
from spark.delta.changed_files import list_data_files
from spark.delta.data_files import DataFile
from spark.delta.named_versions import drop_old_files, find_named
from spark.delta.rewrite import commit_files
from spark.delta.tables import replace_table

TABLE = "neighbours"
LAYOUT = 2  # raise it when versions of before cannot be followed any more
KEY = ["locale", "item_id"]
CANDIDATE = "struct<distance: int, neighbour_item_id: string>"


@dataclass(frozen=True, kw_only=True)
class NeighbourLists:
    """The table at one version: spark.neighbours.list_rows.ROWS, in the buckets of the vectors."""

    path: str
    version: int

    def read(self, spark: SparkSession) -> DataFrame:
        return spark.read.format("delta").option("versionAsOf", self.version).load(self.path)

    def files(self) -> list[DataFile]:
        return list_data_files(open_delta(self.path, self.version))


def find_lists(folder: str, source: Mapping[str, JsonValue], generation: str) -> NeighbourLists | None:
    """The newest version that is of that source and those cells; None where there is none, or it cannot be read any more."""
    path = f"{folder}/{TABLE}"
    version = find_named(path, describe_lists(source, generation))
    return None if version is None else NeighbourLists(path=path, version=version)


def write_lists(listings: DataFrame, candidates: DataFrame, folder: str, k: int, metadata: str) -> NeighbourLists:
    """Replace the table: a list for each of ``listings`` (locale, item_id, bucket); ``candidates`` as ``find_candidates`` gives
    them, for ``k``.
    """
    path = f"{folder}/{TABLE}"
    versions = list_versions(path)
    version = versions[-1] + 1 if versions else 0
    every = listings.select(*KEY, "bucket").join(candidates, KEY, "left")
    filled = every.withColumn("candidates", F.coalesce("candidates", F.array().cast(f"array<{CANDIDATE}>")))
    rows = filled.select(
        *KEY, "candidates", bound_of("candidates", k), F.lit(version).cast("long").alias("changed_in"), "bucket"
    )
    replace_table(rows, path, {}, metadata, partition_by=("bucket",))
    return NeighbourLists(path=path, version=version)


def name_again(lists: NeighbourLists, metadata: str) -> NeighbourLists:
    """Say that the lists are of another source, too, by a commit without rows."""
    commit_files(open_delta(lists.path, lists.version), lists.path, [], [], metadata)
    return NeighbourLists(path=lists.path, version=lists.version + 1)


def drop_old_versions(lists: NeighbourLists) -> None:
    """Views of an older source are built whole then."""
    drop_old_files(lists.path)


def describe_lists(source: Mapping[str, JsonValue], generation: str) -> str:
    """The user metadata of a commit to the table."""
    return canonical_json({"m5": TABLE, "layout": LAYOUT, "source": source, "cells": generation})


def bound_of(candidates: str, k: int) -> Column:
    """A list of ``k`` is known up to its last candidate, a shorter one is all there is."""
    return F.when(F.size(candidates) >= k, F.element_at(candidates, k)).cast(CANDIDATE).alias("bound")
