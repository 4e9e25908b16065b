"""Finds the listings that labels name by key, at one version of the table, with the columns that a set keeps of them."""

import pyarrow as pa
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from schemas.labels import PINNED_LISTINGS
from schemas.listing import LISTING_KEY, LISTINGS
from schemas.workspace import Workspace
from spark.delta.changes import last_change
from spark.delta.tables import read_table
from spark.labels.import_labels import Key, Pinned
from spark.sampling.draw import shape_training_rows

MADE_BY = "jobs/ingest_catalog.py --feed FEED"


def pin_listings(spark: SparkSession, workspace: Workspace, keys: list[Key]) -> Pinned:
    """The listings of these keys at the newest version that changed rows; keys that it does not have are absent."""
    path = workspace.table(LISTINGS.name)
    version = last_change(path, made_by=MADE_BY)
    wanted = spark.createDataFrame(keys, ", ".join(f"{name} string" for name in LISTING_KEY))
    found = read_table(spark, path, made_by=MADE_BY, version=version).join(wanted, list(LISTING_KEY), "left_semi")
    rows = shape_training_rows(found.withColumn("copy", F.lit(0))).orderBy(*LISTING_KEY).toArrow()
    return Pinned(version=version, listings=pa.table(rows).select(list(PINNED_LISTINGS.column_names)))
