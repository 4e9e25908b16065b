"""One ingest run: feeds in, ``listings`` and ``listing_rejects`` out, every record accounted for.

One pass over the feed writes every record, judged, to a staging table (stage). Rejects are kept before a good row is written;
then what the keys and the counts decide becomes one commit (changes). A lease lets one ingest at a time write to a workspace.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from m5model.files.lease import Lease
from schemas.errors import BadDataError
from schemas.listing import LISTINGS
from schemas.reject import LISTING_REJECTS
from schemas.report import DEFAULT_MAX_REJECT_SHARE, Accounting
from schemas.workspace import Workspace
from spark.delta.tables import create_table, merge_rows
from spark.ingest.deciding.changes import settle_stage, write_changes
from spark.ingest.judging.rules import Limits
from spark.ingest.reading.feeds import read_feed
from spark.ingest.reading.sources import find_feed_files
from spark.ingest.staging.stage import Stage, stage_records


@dataclass(frozen=True, kw_only=True)
class IngestResult:
    """What an ingest did."""

    accounting: Accounting
    inserted: int = 0
    updated: int = 0
    deleted: int = 0  # by tombstones; counted as written
    deleted_as_absent: int = 0  # listings that a full feed lacked: no records of the feed, so not in the accounting
    repairs: Mapping[str, int] = field(default_factory=dict)  # good records, by repair
    languages: Mapping[str, int] = field(default_factory=dict)  # rows written, by language
    files: int = 0
    warnings: tuple[str, ...] = ()


def ingest_feed(
    spark: SparkSession,
    workspace: Workspace,
    feed: Sequence[str],
    *,
    run_id: str,
    max_reject_share: float = DEFAULT_MAX_REJECT_SHARE,
    full: bool = False,
    limits: Limits | None = None,
) -> IngestResult:
    """Bring a feed into the workspace. Doing it twice changes nothing.

    Rejects are written before the good rows. Where more than ``max_reject_share`` of the records is rejected, ``listings``
    stays as it was and BadDataError names the reasons. A ``full`` feed is complete for the locales it contains: what it lacks
    of them is deleted, unless some of its records could not be read, for those may be what seems to be absent. Raises
    ConfigurationError where another ingest is at work.
    """
    files = find_feed_files(feed)
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda table: create_table(spark, workspace.table(table.name), table), (LISTINGS, LISTING_REJECTS)))
    if not files.count:
        return IngestResult(accounting=Accounting(rows_in=0, written=0))
    staging = stage_records(read_feed(spark, files), workspace, run_id, limits or Limits())
    # An append does not see the rows of another run: a key could stand twice.
    with Lease(workspace.leases(LISTINGS.name), run_id), staging as stage:
        if stage.tally.rejected:
            write_rejects(stage.bad, workspace, run_id)
        _refuse_bad_feed(stage, max_reject_share, workspace)
        return write_listings(stage, workspace, run_id, files=files.count, full=full)


def write_rejects(bad: DataFrame, workspace: Workspace, run_id: str) -> None:
    """Keep rejects, each distinct raw record once. Those that are there already stay as they are."""
    rows = bad.groupBy(F.sha2("raw", 256).alias("reject_id")).agg(
        *[F.first(name).alias(name) for name in ("reasons", "detail", "raw", "raw_format")],
        F.min("source_file").alias("source_file"),
        F.count(F.lit(1)).alias("occurrences"),
    )
    rows = rows.withColumn("rejected_at", F.lit(datetime.now(UTC))).withColumn("run_id", F.lit(run_id))
    merge_rows(rows, workspace.table(LISTING_REJECTS.name), LISTING_REJECTS, update_when=None)


def write_listings(stage: Stage, workspace: Workspace, run_id: str, *, files: int = 0, full: bool = False) -> IngestResult:
    """The staged records settled and written, and the account of it."""
    withheld = full and stage.unreadable > 0
    with settle_stage(stage, workspace, full=full and not withheld) as settled:
        languages = write_changes(stage, settled, workspace, run_id)
    inserted, updated, deleted = (settled.outcomes.get(name, 0) for name in ("inserted", "updated", "deleted"))
    accounting = Accounting(
        rows_in=stage.rows_in,
        written=inserted + updated + deleted,
        unchanged=settled.outcomes.get("unchanged", 0),
        superseded=settled.outcomes.get("superseded", 0),
        rejected=stage.tally.rejected,
        rejected_reasons=dict(sorted(stage.tally.reasons.items())),
    )
    warning = f"nothing was deleted as absent: {stage.unreadable} records of the full feed could not be read"
    return IngestResult(
        accounting=accounting,
        inserted=inserted,
        updated=updated,
        deleted=deleted,
        deleted_as_absent=settled.absent_count,
        repairs=dict(sorted(stage.tally.repairs.items())),
        languages=languages,
        files=files,
        warnings=(warning,) if withheld else (),
    )


def _refuse_bad_feed(stage: Stage, max_reject_share: float, workspace: Workspace) -> None:
    rejected = stage.tally.rejected
    if rejected <= max_reject_share * stage.rows_in:
        return
    raise BadDataError(
        f"{rejected:,} of {stage.rows_in:,} records were rejected ({rejected / stage.rows_in:.1%}, allowed "
        f"{max_reject_share:.1%}): " + ", ".join(f"{name} {count:,}" for name, count in sorted(stage.tally.reasons.items())),
        next_step=f"look at {workspace.table(LISTING_REJECTS.name)} (kept whole), mend the feed, or raise --max-reject-share; "
        "listings were left as they were",
    )
