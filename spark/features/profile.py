"""Profiles of published views: measured on the executors where there is much to read, else on the driver."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import reduce

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession

from m5model.features.measure import measure_rows
from m5model.features.profiles import (
    StoredProfile,
    describe_columns,
    describe_key,
    find_profile,
    rows_to_measure,
    write_profile,
)
from m5model.features.publications import PublishedVersion, read_publications
from m5model.files.delta import open_delta
from m5model.files.manifests import from_json
from schemas.feature_profile import Profile, empty_profile
from schemas.features import FOLDER
from schemas.listing import LISTING_KEY
from schemas.manifests import to_json
from schemas.workspace import Workspace
from spark.delta.tables import read_table

# Below this the driver reads them in less time than a Spark job takes to start: a million rows a second without vectors.
ROWS_ON_THE_DRIVER = 5_000_000
MADE_BY = "spark-submit jobs/publish_features.py"


def record_profiles(spark: SparkSession, workspace: Workspace, views: Iterable[str]) -> None:
    """Make the profile of the newest version of each view, where it is missing."""
    for view in views:
        published = read_publications(workspace.table(f"{FOLDER}/{view}"))
        if rows_to_measure(workspace, view, published) > ROWS_ON_THE_DRIVER:
            write_profile(workspace, view, _measure(spark, workspace.table(f"{FOLDER}/{view}"), published[-1]))
        else:
            find_profile(workspace, view, published)


def profile_rows(rows: DataFrame, columns: Sequence[Mapping[str, str]], key: Sequence[str]) -> Profile:
    """The profile of rows of a view that declares these columns (name, type, unit) and this key: one Spark job."""
    if tuple(key) != LISTING_KEY:
        rows = rows.repartition(*LISTING_KEY)  # all rows of a listing are counted by one task

    def measure(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        yield pa.RecordBatch.from_pydict({"profile": [to_json(measure_rows(batches, columns, key))]})

    parts = rows.mapInArrow(measure, "profile string").collect()
    profiles = (from_json(Profile, row["profile"], "a task's profile") for row in parts)
    return reduce(Profile.plus, profiles, empty_profile(columns))


def _measure(spark: SparkSession, path: str, published: PublishedVersion) -> StoredProfile:
    table = open_delta(path, published.version)
    columns, key = describe_columns(table, published), describe_key(published)
    rows = read_table(spark, path, made_by=MADE_BY, version=published.version)
    profile = profile_rows(rows, columns, key)
    return StoredProfile(
        table_id=str(table.metadata().id), version=published.version, columns=tuple(map(dict, columns)), profile=profile
    )
