"""One ingest run: feeds in, ``listings`` and ``listing_rejects`` out, every record accounted for."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from pyspark import StorageLevel
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from schemas.errors import BadDataError
from schemas.listing import LISTINGS
from schemas.reject import LISTING_REJECTS
from schemas.report import Accounting
from schemas.workspace import Workspace
from spark.ingest.candidates import read_candidates
from spark.ingest.hashing import hash_listings
from spark.ingest.language import normalise_language, settle_language
from spark.ingest.repairs import repair_texts
from spark.ingest.rules import judge_candidates
from spark.ingest.settle import rank_records, settle_records
from spark.ingest.sources import FeedFiles, find_feed_files
from spark.tables import create_table, merge_rows, read_table

log = logging.getLogger(__name__)

DEFAULT_MAX_REJECT_SHARE = 0.05


@dataclass(frozen=True, kw_only=True)
class IngestResult:
    """What an ingest did."""

    accounting: Accounting
    inserted: int
    updated: int
    repairs: Mapping[str, int]
    languages: Mapping[str, int]  # rows in the feed's good records, by language
    files: int


def ingest_feed(
    spark: SparkSession,
    workspace: Workspace,
    feed: Sequence[str],
    *,
    run_id: str,
    max_reject_share: float = DEFAULT_MAX_REJECT_SHARE,
) -> IngestResult:
    """Bring a feed into the workspace. Doing it twice changes nothing.

    Rejects are written before the good rows. Where more than ``max_reject_share`` of the records is rejected, ``listings``
    stays as it was and BadDataError names the reasons.
    """
    files = find_feed_files(feed)
    create_table(spark, workspace.table(LISTINGS.name), LISTINGS)
    create_table(spark, workspace.table(LISTING_REJECTS.name), LISTING_REJECTS)
    if not files.count:
        return IngestResult(
            accounting=Accounting(rows_in=0, written=0), inserted=0, updated=0, repairs={}, languages={}, files=0
        )
    judged = judge_feed(spark, files).persist(StorageLevel.DISK_ONLY)
    try:
        rejected, reasons = _write_rejects(judged, workspace, run_id)
        rows_in = judged.count()
        _refuse_bad_feed(rows_in, rejected, reasons, max_reject_share, workspace)
        return _write_listings(judged, workspace, run_id, files, rows_in, rejected, reasons)
    finally:
        judged.unpersist()


def judge_feed(spark: SparkSession, files: FeedFiles) -> DataFrame:
    """All records of the feed: repaired, with ``reasons`` (empty for good ones), language and hashes."""
    candidates = normalise_language(repair_texts(read_candidates(spark, files)))
    judged = judge_candidates(candidates)
    judged = judged.withColumn("updated_at", F.col("updated_at").try_cast("timestamp"))
    judged = judged.withColumn("raw", F.when(F.size("reasons") > 0, F.col("raw")))  # good records need no raw copy
    return hash_listings(settle_language(judged))


def _write_rejects(judged: DataFrame, workspace: Workspace, run_id: str) -> tuple[int, dict[str, int]]:
    """Returns rejected records, and records by reason (a record can have several)."""
    bad = judged.where(F.size("reasons") > 0)
    rejected = bad.count()
    if not rejected:
        return 0, {}
    rows = bad.groupBy(F.sha2("raw", 256).alias("reject_id")).agg(
        *[F.first(name).alias(name) for name in ("reasons", "detail", "raw", "raw_format")],
        F.min("source_file").alias("source_file"),
        F.count(F.lit(1)).alias("occurrences"),
    )
    rows = rows.withColumn("rejected_at", F.lit(datetime.now(UTC))).withColumn("run_id", F.lit(run_id))
    merge_rows(rows, workspace.table(LISTING_REJECTS.name), LISTING_REJECTS, update_when=None)
    counted = bad.select(F.explode("reasons").alias("reason")).groupBy("reason").count().collect()
    return rejected, dict(sorted((row["reason"], row["count"]) for row in counted))


def _refuse_bad_feed(
    rows_in: int, rejected: int, reasons: Mapping[str, int], max_reject_share: float, workspace: Workspace
) -> None:
    if rejected <= max_reject_share * rows_in:
        return
    raise BadDataError(
        f"{rejected:,} of {rows_in:,} records were rejected ({rejected / rows_in:.1%}, allowed {max_reject_share:.1%}): "
        + ", ".join(f"{name} {count:,}" for name, count in reasons.items()),
        next_step=f"look at {workspace.table(LISTING_REJECTS.name)} (kept whole), mend the feed, or raise --max-reject-share; "
        "listings were left as they were",
    )


def _write_listings(
    judged: DataFrame,
    workspace: Workspace,
    run_id: str,
    files: FeedFiles,
    rows_in: int,
    rejected: int,
    reasons: Mapping[str, int],
) -> IngestResult:
    path = workspace.table(LISTINGS.name)
    good = judged.where(F.size("reasons") == 0)
    stored = read_table(judged.sparkSession, path, made_by="jobs/ingest_catalog.py")
    settled = settle_records(rank_records(good), stored).persist(StorageLevel.DISK_ONLY)
    try:
        outcomes = count_by(settled, "outcome")
        languages = count_by(settled, "language")
        repairs = count_by(settled.select(F.explode("repairs").alias("repair")), "repair")
        written = outcomes.get("inserted", 0) + outcomes.get("updated", 0)
        if written:
            rows = settled.where(F.col("outcome").isin("inserted", "updated"))
            rows = rows.withColumn("ingested_at", F.lit(datetime.now(UTC))).withColumn("run_id", F.lit(run_id))
            merge_rows(rows, path, LISTINGS, update_when="s.content_hash <> t.content_hash")
    finally:
        settled.unpersist()
    accounting = Accounting(
        rows_in=rows_in,
        written=written,
        unchanged=outcomes.get("unchanged", 0),
        superseded=outcomes.get("superseded", 0),
        rejected=rejected,
        rejected_reasons=reasons,
    )
    return IngestResult(
        accounting=accounting,
        inserted=outcomes.get("inserted", 0),
        updated=outcomes.get("updated", 0),
        repairs=repairs,
        languages=languages,
        files=files.count,
    )


def count_by(df: DataFrame, column: str) -> dict[str, int]:
    """Rows by value of a column of few values, sorted by value."""
    return dict(sorted((str(row[0]), row[1]) for row in df.groupBy(column).count().collect()))
