"""One ingest run: feeds in, ``listings`` and ``listing_rejects`` out, every record accounted for.

reading → mapping → cleaning → judging → staging → deciding: one pass over the feed judges every record and writes it to a
staging table; rejects are kept before a good row is written; then what keys and counts decide becomes one commit. A lease lets
one ingest at a time write to a workspace.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from m5model.feeds.charsets import find_codec_of
from m5model.feeds.mapping import FeedMapping
from m5model.feeds.sources import FeedFiles, LeftOut, find_feed_files
from m5model.files.lease import Lease
from schemas.errors import BadDataError, ConfigurationError
from schemas.feed_account import FileAccount, verify_accounts
from schemas.listing import LISTINGS
from schemas.reject import LISTING_REJECTS
from schemas.report import DEFAULT_MAX_REJECT_SHARE, Accounting
from schemas.workspace import Workspace
from spark.delta.tables import add_new_columns, append_rows, create_table, is_untouched, merge_rows
from spark.ingest.deciding.absence import Absence, find_complete_locales
from spark.ingest.deciding.changes import decide_changes, write_changes
from spark.ingest.judging.rules import Limits
from spark.ingest.reading.delta_tables import open_changes, open_tables
from spark.ingest.reading.feed_positions import keep_position
from spark.ingest.reading.feeds import read_feed
from spark.ingest.staging.accounts import sum_lines
from spark.ingest.staging.stage import Stage, stage_records


@dataclass(frozen=True, kw_only=True)
class IngestResult:
    """What an ingest did."""

    accounting: Accounting
    inserted: int = 0
    updated: int = 0
    deleted: int = 0  # by tombstones; counted as written
    deleted_as_absent: int = 0  # listings that a full feed lacked: no records of the feed, so not in the accounting
    unknown_keys: Mapping[str, int] = field(default_factory=dict)  # rejects whose key could not be made out, by locale or any
    repairs: Mapping[str, int] = field(default_factory=dict)  # good records, by repair
    repaired_fields: Mapping[str, Mapping[str, int]] = field(default_factory=dict)  # good records, by field and repair
    damaged_fields: Mapping[str, Mapping[str, int]] = field(default_factory=dict)  # good records, by field and warning
    languages: Mapping[str, int] = field(default_factory=dict)  # rows written, by language
    files: int = 0
    rejected_lines: int = 0  # physical lines of rejects of several lines, beyond one a reject
    accounts: Sequence[FileAccount] = ()  # where the bytes of each file went
    left_out: Sequence[LeftOut] = ()
    warnings: tuple[str, ...] = ()

    def count_left_out(self) -> dict[str, int]:
        """Files of the feed that were not read, by a name from m5model.feeds.sources.LEFT_OUT."""
        return dict(sorted(Counter(file.reason for file in self.left_out).items()))


def ingest_feed(
    spark: SparkSession,
    workspace: Workspace,
    feed: Sequence[str],
    *,
    run_id: str,
    max_reject_share: float = DEFAULT_MAX_REJECT_SHARE,
    full: bool = False,
    limits: Limits | None = None,
    mapping: FeedMapping | None = None,
    encoding: str | None = None,
    changes_only: bool = False,
) -> IngestResult:
    """Bring a feed into the workspace. Doing it twice changes nothing.

    Rejects are written before the good rows. Where more than ``max_reject_share`` of the records is rejected, ``listings``
    stays as it was and BadDataError names the reasons. A ``full`` feed is complete for the locales it contains: what it lacks
    of them is deleted, as far as it is sure to lack it (deciding.absence). ``mapping`` makes listings' fields of the feed's.
    ``encoding`` is the character set of files of text. Of a feed of Delta tables, ``changes_only`` reads what changed since
    they were ingested last. Raises ConfigurationError where another ingest is at work, and for a full feed of changes only.
    """
    if full and changes_only:
        raise ConfigurationError("a feed of changes is no full feed", next_step="give one of --full and --changes-only")
    files = find_feed_files(feed, with_tables=True, encoding=find_codec_of(encoding) if encoding else "")
    create_tables(spark, workspace)
    tables = open_changes(files, workspace, run_id, mapping) if changes_only else nullcontext(open_tables(files))
    with tables as opened:
        plan = _Plan(
            files=opened.files,
            run_id=run_id,
            max_reject_share=max_reject_share,
            full=full,
            limits=limits or Limits(),
            mapping=mapping,
        )
        result = _ingest_files(spark, workspace, plan)
    for position in opened.positions:
        keep_position(workspace, position)
    return replace(result, warnings=(*opened.warnings, *result.warnings))


@dataclass(frozen=True, kw_only=True)
class _Plan:
    """What is to be ingested, and how."""

    files: FeedFiles
    run_id: str
    max_reject_share: float
    full: bool
    limits: Limits
    mapping: FeedMapping | None


def _ingest_files(spark: SparkSession, workspace: Workspace, plan: _Plan) -> IngestResult:
    files, run_id = plan.files, plan.run_id
    if not files.count:
        return IngestResult(accounting=Accounting(rows_in=0, written=0), left_out=files.left_out, warnings=files.warnings)
    staging = stage_records(read_feed(spark, files, plan.mapping), workspace, run_id, plan.limits)
    # An append does not see the rows of another run: without a lease a key could be in the table twice.
    with Lease(workspace.leases(LISTINGS.name), run_id) as lease, staging as stage:
        if stage.tally.rejected:
            write_rejects(stage.bad, workspace, run_id, lease)
        _refuse_bad_feed(stage, plan.max_reject_share, workspace)
        absence = find_complete_locales(stage.tally, files) if plan.full else Absence()
        return write_listings(stage, workspace, run_id, lease, absence=absence, files=files)


def create_tables(spark: SparkSession, workspace: Workspace) -> None:
    """Makes the tables that an ingest writes to, where there are none."""
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda table: create_table(spark, workspace.table(table.name), table), (LISTINGS, LISTING_REJECTS)))
    add_new_columns(spark, workspace.table(LISTINGS.name), LISTINGS)


def write_rejects(bad: DataFrame, workspace: Workspace, run_id: str, lease: Lease) -> None:
    """Keep rejects, each distinct raw record once. Those that are there already stay as they are."""
    rows = bad.groupBy(F.sha2("raw", 256).alias("reject_id")).agg(
        *[F.first(name).alias(name) for name in ("reasons", "detail", "raw", "raw_format")],
        F.min("source_file").alias("source_file"),
        F.count(F.lit(1)).alias("occurrences"),
    )
    rows = rows.withColumn("rejected_at", F.lit(datetime.now(UTC))).withColumn("run_id", F.lit(run_id))
    path = workspace.table(LISTING_REJECTS.name)
    lease.check()
    if is_untouched(path):
        append_rows(rows, path, LISTING_REJECTS)
    else:
        merge_rows(rows, path, LISTING_REJECTS, update_when=None)


def write_listings(
    stage: Stage,
    workspace: Workspace,
    run_id: str,
    lease: Lease,
    *,
    absence: Absence | None = None,
    files: FeedFiles | None = None,
) -> IngestResult:
    """Compare the staged records with the tables, commit what changes, and account for every record."""
    absence, files = absence or Absence(), files or FeedFiles()
    with decide_changes(stage, workspace, complete=absence.locales) as changes:
        write_changes(stage, changes, workspace, run_id, lease)
    accounts = stage.tallies.as_accounts(changes.by_file)
    verify_accounts(accounts)
    inserted, updated, deleted = (changes.outcomes.get(name, 0) for name in ("inserted", "updated", "deleted"))
    accounting = Accounting(
        rows_in=stage.rows_in,
        written=inserted + updated + deleted,
        unchanged=changes.outcomes.get("unchanged", 0),
        superseded=changes.outcomes.get("superseded", 0),
        rejected=stage.tally.rejected,
        rejected_reasons=dict(sorted(stage.tally.reasons.items())),
    )
    return IngestResult(
        accounting=accounting,
        inserted=inserted,
        updated=updated,
        deleted=deleted,
        deleted_as_absent=changes.absent_count,
        unknown_keys=dict(sorted(stage.tally.unknown_keys.items())),
        repairs=dict(sorted(stage.tally.repairs.items())),
        repaired_fields=_by_field(stage.tally.repaired_fields),
        damaged_fields=_by_field(stage.tally.damaged_fields),
        languages=changes.languages,
        files=files.count,
        rejected_lines=sum_lines(stage.tallies.values()),
        accounts=accounts,
        left_out=files.left_out,
        warnings=(*files.warnings, *absence.warnings),
    )


def _by_field(counts: Mapping[str, int]) -> dict[str, dict[str, int]]:
    """Counts by FIELD:NAME, as field → name → count."""
    nested: dict[str, dict[str, int]] = {}
    for key, count in sorted(counts.items()):
        name, _, found = key.partition(":")
        nested.setdefault(name, {})[found] = count
    return nested


def _refuse_bad_feed(stage: Stage, max_reject_share: float, workspace: Workspace) -> None:
    rejected, further = stage.tally.rejected, sum_lines(stage.tallies.values())
    # A reject of several lines may be as many records.
    share = (rejected + further) / max(1, stage.rows_in + further)
    if share <= max_reject_share:
        return
    lines = f" on {rejected + further:,} lines" if further else ""
    coded = (
        "if the feed is in another character set than UTF-8, give --encoding; " if stage.tally.reasons["invalid_utf8"] else ""
    )
    raise BadDataError(
        f"{rejected:,} of {stage.rows_in:,} records{lines} were rejected ({share:.1%}, allowed {max_reject_share:.1%}): "
        + ", ".join(f"{name} {count:,}" for name, count in sorted(stage.tally.reasons.items())),
        next_step=f"{coded}look at {workspace.table(LISTING_REJECTS.name)} (kept whole), mend the feed, or raise "
        "--max-reject-share; listings were left as they were",
    )
