"""What the stage settled becomes one commit to ``listings``, after one to ``listing_tombstones``.

Killed in between and run again, the outcome is the same: tombstones that are known already change nothing.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from pyspark import StorageLevel
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from schemas.listing import LISTING_KEY, LISTING_TOMBSTONES, LISTINGS
from schemas.staging import LISTING
from schemas.workspace import Workspace
from spark.delta.files import adopt_files
from spark.delta.tables import (
    add_new_columns,
    append_rows,
    count_by,
    create_table,
    is_untouched,
    merge_rows,
    read_table,
    table_exists,
)
from spark.ingest.deciding.ranking import find_absent, rank_entries, settle_entries
from spark.ingest.staging.stage import Stage

MADE_BY = "jobs/ingest_catalog.py"
IDENTITY = (*LISTING_KEY, "content_hash")


@dataclass(frozen=True, kw_only=True)
class Settled:
    """What becomes of the good records. ``entries`` is None where all of them are inserted."""

    entries: DataFrame | None
    outcomes: Mapping[str, int]
    has_twins: bool = False
    news: int = 0  # tombstones to be remembered
    absent: DataFrame | None = None  # listings that a complete feed lacks
    absent_count: int = 0

    @property
    def changed(self) -> int:
        return self.outcomes.get("inserted", 0) + self.outcomes.get("updated", 0)

    @property
    def removed(self) -> int:
        return self.outcomes.get("deleted", 0) + self.absent_count


@contextmanager
def settle_stage(stage: Stage, workspace: Workspace, *, full: bool) -> Iterator[Settled]:
    """Compare the feed's entries with the tables."""
    spark = stage.records.sparkSession
    here = F.col("locale").isin(*sorted(stage.tally.locales))
    listings = read_table(spark, workspace.table(LISTINGS.name), made_by=MADE_BY).where(here)
    tombstones_path = workspace.table(LISTING_TOMBSTONES.name)
    tombstones = (
        read_table(spark, tombstones_path, made_by=MADE_BY).where(here) if table_exists(spark, tombstones_path) else None
    )
    all_new = stage.repeated is None and not stage.tally.tombstones and tombstones is None
    if all_new and (is_untouched(workspace.table(LISTINGS.name)) or listings.isEmpty()):
        yield Settled(entries=None, outcomes={"inserted": stage.tally.listings})
        return
    entries = stage.good.withColumn("rank", F.lit(1)).withColumn("has_twin", F.lit(False))
    ranked = entries if stage.repeated is None else rank_entries(stage.good, stage.repeated)
    settled = settle_entries(ranked, listings, tombstones).persist(StorageLevel.DISK_ONLY)
    absent = None
    try:
        counted = settled.groupBy("outcome").agg(
            F.count(F.lit(1)).alias("rows"),
            F.coalesce(F.bool_or("has_twin"), F.lit(False)).alias("twins"),
            F.count_if("is_news").alias("news"),
        )
        rows = counted.collect()
        if full:
            absent = find_absent(listings, stage.keys).persist(StorageLevel.DISK_ONLY)
        yield Settled(
            entries=settled,
            outcomes={row["outcome"]: row["rows"] for row in rows},
            has_twins=any(row["twins"] for row in rows),
            news=sum(row["news"] for row in rows),
            absent=absent,
            absent_count=absent.count() if absent is not None else 0,
        )
    finally:
        settled.unpersist()
        if absent is not None:
            absent.unpersist()


def write_changes(stage: Stage, settled: Settled, workspace: Workspace, run_id: str) -> Mapping[str, int]:
    """Bring ``listings`` to what was settled: only rows whose content changed are touched. Returns rows written by language."""
    path = workspace.table(LISTINGS.name)
    if settled.news or settled.absent_count:
        _remember_deletions(settled, workspace, run_id)
    if not settled.changed and not settled.removed:
        return {}
    if not settled.removed and settled.outcomes.get("inserted") == stage.tally.listings:
        adopt_files(stage.path, path, LISTINGS, where={"state": LISTING})
        return dict(sorted(stage.tally.languages.items()))
    rows = _select_changed(stage, settled).select(*LISTINGS.column_names)
    if not settled.removed and not settled.outcomes.get("updated"):
        append_rows(rows, path, LISTINGS)
    else:
        source = rows.withColumn("_delete", F.lit(False)).unionByName(_deletions(settled), allowMissingColumns=True)
        merge_rows(source, path, LISTINGS, update_when="s.content_hash <> t.content_hash", delete_marker="_delete")
    written = read_table(stage.records.sparkSession, path, made_by=MADE_BY).where(F.col("run_id") == run_id)
    return count_by(written, "language") if settled.changed else {}


def _select_changed(stage: Stage, settled: Settled) -> DataFrame:
    """The rows that were settled as inserted or updated, found again by key and content, from the shorter list."""
    others = sum(settled.outcomes.values()) - settled.changed
    if settled.entries is None or (not others and not settled.has_twins):
        return stage.rows
    wanted = F.col("outcome").isin("inserted", "updated")
    is_anti = others < settled.changed and not settled.has_twins
    how, entries = ("left_anti", ~wanted) if is_anti else ("left_semi", wanted)
    selected = stage.rows.join(settled.entries.where(entries).select(*IDENTITY), list(IDENTITY), how)
    return selected.dropDuplicates(list(LISTING_KEY)) if settled.has_twins else selected


def _deletions(settled: Settled) -> DataFrame:
    if settled.entries is None:
        raise ValueError("nothing was settled against the table, so nothing can be deleted")
    keys = settled.entries.where(F.col("outcome") == "deleted").select(*LISTING_KEY)
    if settled.absent is not None:
        keys = keys.unionByName(settled.absent.select(*LISTING_KEY))
    return keys.withColumn("_delete", F.lit(True))


def _remember_deletions(settled: Settled, workspace: Workspace, run_id: str) -> None:
    if settled.entries is None:
        return
    path = workspace.table(LISTING_TOMBSTONES.name)
    create_table(settled.entries.sparkSession, path, LISTING_TOMBSTONES)
    add_new_columns(settled.entries.sparkSession, path, LISTING_TOMBSTONES)
    news = settled.entries.where("is_news")
    rows = news.select(*LISTING_KEY, F.coalesce("updated_at", "stored_updated_at").alias("deleted_at"))
    if settled.absent is not None:
        rows = rows.unionByName(settled.absent.withColumnRenamed("updated_at", "deleted_at"))
    newer = "s.deleted_at > t.deleted_at OR (t.deleted_at IS NULL AND s.deleted_at IS NOT NULL)"
    rows = rows.withColumn("run_id", F.lit(run_id)).withColumn("recorded_at", F.lit(datetime.now(UTC)))
    merge_rows(rows, path, LISTING_TOMBSTONES, update_when=newer)
