"""The second pass: what the survey settled becomes one commit to ``listings``, after one to ``listing_tombstones``.

Killed in between and run again, the outcome is the same: tombstones that are known already change nothing.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

from pyspark import StorageLevel
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from schemas.listing import LISTING_KEY, LISTING_TOMBSTONES, LISTINGS
from schemas.locales import LOCALES
from schemas.workspace import Workspace
from spark.ingest.hashing import hash_texts
from spark.ingest.language import settle_language
from spark.ingest.settle import find_absent, rank_entries, settle_entries
from spark.ingest.survey import Survey, is_good
from spark.tables import append_rows, count_by, create_table, merge_rows, read_table, table_exists

MADE_BY = "jobs/ingest_catalog.py"
IDENTITY = (*LISTING_KEY, "content_hash")


@dataclass(frozen=True, kw_only=True)
class Settled:
    """What becomes of the good records. ``entries`` is None where all of them are inserted."""

    entries: DataFrame | None
    outcomes: Mapping[str, int]
    has_twins: bool
    news: int  # tombstones to be remembered
    undeclared: int  # good records of the feed without a language
    absent: DataFrame | None = None  # listings that a complete feed lacks
    absent_count: int = 0


@dataclass(frozen=True, kw_only=True)
class Written:
    """Rows written, by the language of their text."""

    languages: Mapping[str, int] = field(default_factory=dict)


@contextmanager
def settle_survey(survey: Survey, workspace: Workspace, *, full: bool) -> Iterator[Settled]:
    """Compare the feed's entries with the tables."""
    spark = survey.records.sparkSession
    here = F.col("locale").isin(*[locale for locale in survey.locales if locale in LOCALES])
    listings = read_table(spark, workspace.table(LISTINGS.name), made_by=MADE_BY).where(here)
    tombstones_path = workspace.table(LISTING_TOMBSTONES.name)
    tombstones = (
        read_table(spark, tombstones_path, made_by=MADE_BY).where(here) if table_exists(spark, tombstones_path) else None
    )
    good = survey.rows_in - survey.rejected
    if survey.repeated is None and not survey.tombstones and tombstones is None and listings.isEmpty():
        yield Settled(entries=None, outcomes={"inserted": good}, has_twins=False, news=0, undeclared=survey.undeclared)
        return
    entries = survey.good.withColumn("rank", F.lit(1)).withColumn("has_twin", F.lit(False))
    ranked = entries if survey.repeated is None else rank_entries(survey.good, survey.repeated)
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
            absent = find_absent(listings, survey.records.where(F.col("item_id").isNotNull())).persist(StorageLevel.DISK_ONLY)
        yield Settled(
            entries=settled,
            outcomes={row["outcome"]: row["rows"] for row in rows},
            has_twins=any(row["twins"] for row in rows),
            news=sum(row["news"] for row in rows),
            undeclared=survey.undeclared,
            absent=absent,
            absent_count=absent.count() if absent is not None else 0,
        )
    finally:
        settled.unpersist()
        if absent is not None:
            absent.unpersist()


def write_changes(judged: DataFrame, settled: Settled, workspace: Workspace, run_id: str) -> Written:
    """Bring ``listings`` to what was settled: only rows whose content changed are touched."""
    path = workspace.table(LISTINGS.name)
    if settled.news or settled.absent_count:
        _remember_deletions(settled, workspace, run_id)
    changed = settled.outcomes.get("inserted", 0) + settled.outcomes.get("updated", 0)
    removed = settled.outcomes.get("deleted", 0) + settled.absent_count
    if not changed and not removed:
        return Written()
    selected = settle_language(_select_changed(judged, settled, changed), detect=settled.undeclared > 0)
    rows = _stamp(hash_texts(selected), run_id).select(*LISTINGS.column_names)
    if not removed and not settled.outcomes.get("updated"):
        append_rows(rows, path, LISTINGS)
    else:
        _merge(rows, settled, path)
    written = read_table(judged.sparkSession, path, made_by=MADE_BY).where(F.col("run_id") == run_id)
    return Written(languages=count_by(written, "language") if changed else {})


def _merge(rows: DataFrame, settled: Settled, path: str) -> None:
    kept = rows.persist(StorageLevel.DISK_ONLY)  # a merge reads its source twice
    try:
        source = kept.withColumn("_delete", F.lit(False)).unionByName(_deletions(settled), allowMissingColumns=True)
        merge_rows(source, path, LISTINGS, update_when="s.content_hash <> t.content_hash", delete_marker="_delete")
    finally:
        kept.unpersist()


def _select_changed(judged: DataFrame, settled: Settled, changed: int) -> DataFrame:
    """The records that were settled as inserted or updated, found again by key and content, from the shorter list."""
    good = judged.where(is_good() & ~F.col("is_tombstone"))
    if settled.entries is None:
        return good
    wanted = F.col("outcome").isin("inserted", "updated")
    others = sum(settled.outcomes.values()) - changed
    how, entries = ("left_anti", ~wanted) if others < changed and not settled.has_twins else ("left_semi", wanted)
    if not others and not settled.has_twins:
        return good
    selected = good.join(settled.entries.where(entries).select(*IDENTITY), list(IDENTITY), how)
    return selected.dropDuplicates(list(LISTING_KEY)) if settled.has_twins else selected


def _stamp(rows: DataFrame, run_id: str) -> DataFrame:
    return rows.withColumn("ingested_at", F.lit(datetime.now(UTC))).withColumn("run_id", F.lit(run_id))


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
    news = settled.entries.where("is_news")
    rows = news.select(*LISTING_KEY, F.coalesce("updated_at", "stored_updated_at").alias("deleted_at"))
    if settled.absent is not None:
        rows = rows.unionByName(settled.absent.withColumnRenamed("updated_at", "deleted_at"))
    newer = "s.deleted_at > t.deleted_at OR (t.deleted_at IS NULL AND s.deleted_at IS NOT NULL)"
    merge_rows(rows.withColumn("run_id", F.lit(run_id)), path, LISTING_TOMBSTONES, update_when=newer)
