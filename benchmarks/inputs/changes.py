"""Changes a catalogue as a feed and an embedding run would: rows inserted, changed and deleted by MERGE."""

from dataclasses import dataclass

from pyspark.sql import DataFrame, SparkSession, Window, WindowSpec
from pyspark.sql import functions as F

from inputs.drawn_vectors import draw_embeddings
from schemas.embedding import EMBEDDINGS
from schemas.listing import LISTINGS
from schemas.workspace import Workspace
from spark.delta.tables import merge_rows

KEY = ["locale", "item_id"]


@dataclass(frozen=True, kw_only=True)
class ChangeSet:
    """How many listings of each kind; which ones follows from the seed."""

    inserts: int
    updates: int
    deletes: int
    seed: int


def change_catalogue(spark: SparkSession, workspace: Workspace, change: ChangeSet, dimensions: int) -> None:
    listings = spark.read.format("delta").load(workspace.table(LISTINGS.name))
    chosen = listings.orderBy(F.xxhash64(*KEY, F.lit(change.seed))).limit(change.inserts + change.updates + change.deletes)
    numbered = chosen.withColumn("number", F.row_number().over(_by_hash(change.seed))).localCheckpoint()
    text = F.lit(f"changed {change.seed}")
    coloured = F.create_map(F.lit("colour"), text)
    inserted = numbered.where(F.col("number") <= change.inserts)
    inserted = inserted.withColumn("item_id", F.concat("item_id", F.lit(f"-{change.seed}")))
    updated = numbered.where(F.col("number").between(change.inserts + 1, change.inserts + change.updates))
    # Of those that change, half change their text and vector, a quarter their brand, a quarter an attribute as well.
    updated = (
        updated.withColumn("title", F.when(F.col("number") % 2 == 0, F.concat_ws(" ", "title", text)).otherwise(F.col("title")))
        .withColumn("text_hash", F.when(F.col("number") % 2 == 0, F.sha2("title", 256)).otherwise(F.col("text_hash")))
        .withColumn("brand", F.when(F.col("number") % 4 == 1, F.lit("Acme")).otherwise(F.col("brand")))
        .withColumn("attributes", F.when(F.col("number") % 4 == 3, coloured).otherwise(F.col("attributes")))
    )
    deleted = numbered.where(F.col("number") > change.inserts + change.updates)
    rows = _marked(inserted, False).unionByName(_marked(updated, False)).unionByName(_marked(deleted, True)).localCheckpoint()
    path = workspace.table(LISTINGS.name)
    merge_rows(rows, path, LISTINGS, update_when="true", delete_marker="gone")
    drawn = draw_embeddings(rows.where("not gone"), dimensions=dimensions)
    merge_rows(drawn, workspace.table(EMBEDDINGS.name), EMBEDDINGS, update_when="s.fingerprint <> t.fingerprint")


def _by_hash(seed: int) -> WindowSpec:
    return Window.orderBy(F.xxhash64(*KEY, F.lit(seed)))


def _marked(rows: DataFrame, gone: bool) -> DataFrame:
    return rows.drop("number").withColumn("gone", F.lit(gone))
