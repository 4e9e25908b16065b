"""An embed run: gives the listings of a pinned version their vectors. Killed at any moment and started again, it does what is
missing and nothing else."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from pyspark.sql import DataFrame, SparkSession

from m5model.files import storage
from m5model.runtime.encoder import ModelBytes
from schemas.checks import is_name, is_number, is_whole, require
from schemas.listing import LISTINGS
from schemas.report import DEFAULT_MAX_REJECT_SHARE, Accounting
from schemas.space import sha256_hex
from schemas.workspace import Workspace
from spark.delta.changes import last_change
from spark.delta.tables import read_table
from spark.embedding.failures import Failure, record_failures, refuse_many_failures
from spark.embedding.pending import Changes, count_changes, find_orphans, find_pending
from spark.embedding.plan import EmbedPlan, plan_embedding
from spark.embedding.repeats import copy_vectors, find_repeats
from spark.embedding.target import Target, open_target
from spark.embedding.totals import EmbedTotals
from spark.embedding.wave_run import embed_waves
from spark.embedding.waves import plan_waves

MADE_BY = "jobs/ingest_catalog.py --feed FEED"

# A commit costs 1 to 4 s: at 100 rows/s and core, 25,000 rows a core are some minutes of work per wave.
ROWS_PER_WAVE_AND_CORE = 25_000
# Every wave costs a commit: with fewer rows a run would be commits and nothing else.
MIN_ROWS_PER_WAVE = 10


@dataclass(frozen=True, kw_only=True)
class EmbedSettings:
    """How a run works; raises ``ConfigurationError`` naming all that is wrong."""

    threads: int  # of an executor
    run_id: str | None = None  # a hash of (listings version, space) otherwise
    rows_per_wave: int | None = None  # rows of one commit; ROWS_PER_WAVE_AND_CORE a core otherwise
    max_reject_share: float = DEFAULT_MAX_REJECT_SHARE  # of the texts tried

    def __post_init__(self) -> None:
        rules = {
            f"threads is {self.threads!r}, expected a whole number from 1": is_whole(self.threads, 1),
            f"rows_per_wave is {self.rows_per_wave!r}, expected a whole number from {MIN_ROWS_PER_WAVE}": (
                self.rows_per_wave is None or is_whole(self.rows_per_wave, MIN_ROWS_PER_WAVE)
            ),
            f"max_reject_share is {self.max_reject_share!r}, expected 0 to 1": is_number(self.max_reject_share, 0, 1),
            f"run_id is {self.run_id!r}, expected a name": self.run_id is None or is_name(self.run_id),
        }
        require("embedding", rules)


@dataclass(frozen=True, kw_only=True)
class EmbedResult:
    """What an embed run did."""

    run_id: str
    accounting: Accounting
    totals: EmbedTotals
    removed: int  # vectors whose listing is gone
    listings_version: int


@dataclass(frozen=True, kw_only=True)
class Pin:
    """A run and the version of the listings that it fixed at its first start."""

    run_id: str
    listings_version: int


def embed_catalog(spark: SparkSession, workspace: Workspace, model: ModelBytes, settings: EmbedSettings) -> EmbedResult:
    """Give every listing a vector of its present text in the model's space, and take away vectors of removed listings.

    Raises BadDataError where the model fails on more than ``max_reject_share`` of the texts (the others have their vectors
    then), ConfigurationError where another run holds the lease of a table on object storage.
    """
    pin = pin_version(workspace, model.space_id, settings.run_id)
    listings, target = _open_tables(spark, workspace, model, pin)
    vectors = target.read(spark)
    changes = count_changes(listings, vectors, rendering=model.rendering, buckets=target.buckets)
    totals, failures = EmbedTotals(), list[Failure]()
    with target.held():
        if changes.pending:
            pending = find_pending(listings, vectors, rendering=model.rendering, buckets=target.buckets)
            failures = _embed(pending, vectors, changes, target, model, settings, totals)
        if changes.orphans:
            target.delete(find_orphans(listings, vectors), list(changes.orphans))
        record_failures(spark, workspace, failures, space_id=model.space_id, run_id=pin.run_id)
    refuse_many_failures(failures, totals.written + totals.failed, settings.max_reject_share)
    return EmbedResult(
        run_id=pin.run_id,
        accounting=_account(changes, totals, failures),
        totals=totals,
        removed=changes.orphan_rows,
        listings_version=pin.listings_version,
    )


def _embed(
    pending: DataFrame,
    vectors: DataFrame,
    changes: Changes,
    target: Target,
    model: ModelBytes,
    settings: EmbedSettings,
    totals: EmbedTotals,
) -> list[Failure]:
    """Compute each distinct text that has no vector, then copy vectors to the listings that share one."""
    rows = rows_per_wave(pending.sparkSession, settings)
    with find_repeats(pending, vectors) as repeats:
        failures = list[Failure]()
        waves = plan_waves(repeats.left_by_bucket(changes.pending), rows)
        if waves:
            first = repeats.without(pending)
            failures = embed_waves(first, waves, target, model, threads=settings.threads, totals=totals)
        if repeats.count:
            failed = copy_vectors(repeats, target, failures, rows)
            totals.copied = repeats.count - len(failed)
            totals.failed += len(failed)
            failures = [*failures, *failed]
    return failures


def plan_catalog(spark: SparkSession, workspace: Workspace, model: ModelBytes, settings: EmbedSettings) -> EmbedPlan:
    """What ``embed_catalog`` would do. Nothing is written, but for an empty table where there is none."""
    version = last_change(workspace.table(LISTINGS.name), made_by=MADE_BY)
    listings, target = _open_tables(spark, workspace, model, Pin(run_id="", listings_version=version))
    vectors = target.read(spark)
    changes = count_changes(listings, vectors, rendering=model.rendering, buckets=target.buckets)
    pending = find_pending(listings, vectors, rendering=model.rendering, buckets=target.buckets)
    with find_repeats(pending, vectors) as repeats:
        waves = plan_waves(repeats.left_by_bucket(changes.pending), rows_per_wave(spark, settings))
        cores = spark.sparkContext.defaultParallelism
        return plan_embedding(
            repeats.without(pending),
            model,
            rows=changes.pending_rows,
            repeats=repeats.count,
            waves=len(waves),
            cores=cores,
        )


def default_run_id(listings_version: int, space_id: str) -> str:
    """The same listings and space are the same run, however often it is started."""
    return "embed-" + sha256_hex(f"{listings_version} {space_id}".encode())[:12]


def pin_version(workspace: Workspace, space_id: str, run_id: str | None) -> Pin:
    """The listings as they are now, or as the run of that id fixed them at its first start."""
    newest = last_change(workspace.table(LISTINGS.name), made_by=MADE_BY)
    name = run_id or default_run_id(newest, space_id)
    storage.write_new(workspace.pin(name), json.dumps({"listings_version": newest}).encode())
    pinned = json.loads(storage.read_bytes(workspace.pin(name)))
    return Pin(run_id=name, listings_version=int(pinned["listings_version"]))


def rows_per_wave(spark: SparkSession, settings: EmbedSettings) -> int:
    """Rows of one commit: what the settings say, or some minutes of work."""
    cores = max(settings.threads, spark.sparkContext.defaultParallelism)
    return settings.rows_per_wave or ROWS_PER_WAVE_AND_CORE * cores


def _open_tables(spark: SparkSession, workspace: Workspace, model: ModelBytes, pin: Pin) -> tuple[DataFrame, Target]:
    path = workspace.table(LISTINGS.name)
    listings = read_table(spark, path, made_by=MADE_BY, version=pin.listings_version)
    return listings, open_target(spark, workspace, listings, space_id=model.space_id, run_id=pin.run_id)


def _account(changes: Changes, totals: EmbedTotals, failures: Sequence[Failure]) -> Accounting:
    reasons = Counter(failure.reason for failure in failures)
    return Accounting(
        rows_in=changes.listings,
        written=totals.written,
        unchanged=changes.listings - changes.pending_rows,
        rejected=len(failures),
        rejected_reasons=dict(sorted(reasons.items())),
    )
