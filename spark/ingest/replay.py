"""Runs kept rejects through today's rules again: those that pass become listings, the others stay rejects."""

from collections.abc import Sequence

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from m5model.files.lease import Lease
from schemas.errors import ConfigurationError
from schemas.listing import LISTINGS
from schemas.reject import LISTING_REJECTS, REASONS
from schemas.report import Accounting
from schemas.workspace import Workspace
from spark.delta.log import require_table
from spark.delta.tables import create_table, delete_keys, merge_rows, read_table
from spark.ingest.ingest import IngestResult, write_listings
from spark.ingest.judging.rules import Limits
from spark.ingest.reading.feeds import read_rejects
from spark.ingest.staging.stage import Stage, stage_records

MADE_BY = "jobs/ingest_catalog.py --feed FEED"


def replay_rejects(
    spark: SparkSession, workspace: Workspace, *, run_id: str, reasons: Sequence[str] = (), limits: Limits | None = None
) -> IngestResult:
    """Judge the rejects that have one of ``reasons`` (all where none is given) anew. Rows in are distinct raw records.

    Listings are written before rejects are deleted, so that a killed run can be started again. A record without a time is as of
    its rejection. Raises ConfigurationError for an unknown reason.
    """
    unknown = [reason for reason in reasons if reason not in REASONS]
    if unknown:
        raise ConfigurationError(f"no reason {', '.join(unknown)}", next_step=f"give some of {', '.join(REASONS)}")
    path = workspace.table(LISTING_REJECTS.name)
    rejects = read_table(spark, path, made_by=MADE_BY, version=require_table(path, made_by=MADE_BY).version)
    if reasons:
        rejects = rejects.where(F.arrays_overlap("reasons", F.lit(list(reasons))))
    if rejects.isEmpty():
        return IngestResult(accounting=Accounting(rows_in=0, written=0))
    create_table(spark, workspace.table(LISTINGS.name), LISTINGS)
    staging = stage_records(read_rejects(rejects), workspace, run_id, limits or Limits())
    with Lease(workspace.leases(LISTINGS.name), run_id) as lease, staging as stage:
        result = write_listings(stage, workspace, run_id, lease)
        _update_rejects(rejects, stage, path, lease)
    return result


def _update_rejects(rejects: DataFrame, stage: Stage, path: str, lease: Lease) -> None:
    """Deletes rejects that passed, and gives the others today's reasons."""
    still = stage.bad.select(F.sha2("raw", 256).alias("reject_id"), "reasons", "detail").dropDuplicates(["reject_id"])
    kept = rejects.drop("reasons", "detail").join(still, "reject_id")
    if stage.tally.rejected:
        lease.check()
        merge_rows(kept, path, LISTING_REJECTS, update_when="s.reasons <> t.reasons")
    passed = rejects.select("reject_id").join(still.select("reject_id"), "reject_id", "left_anti")
    lease.check()
    delete_keys(passed, path, LISTING_REJECTS, prune=F.lit(True))
