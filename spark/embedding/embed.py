"""One embed run: listings at a pinned version in, ``embeddings`` out. Killed at any moment and started again, it does what
is missing and nothing else."""

import json
import logging
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime

from pyspark import Broadcast, StorageLevel
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from m5model.files import storage
from m5model.files.lease import Lease
from m5model.runtime.encoder import ModelBytes
from schemas.checks import is_name, is_number, is_whole, require
from schemas.embedding import BUCKETS_PROPERTY, EMBEDDINGS, choose_buckets
from schemas.listing import LISTINGS
from schemas.report import DEFAULT_MAX_REJECT_SHARE, Accounting
from schemas.space import sha256_hex
from schemas.workspace import Workspace
from spark.delta.changes import last_change
from spark.delta.tables import count_by, create_table, delete_keys, read_table, table_properties, table_version
from spark.embedding.engine import ARROW_ROWS, EngineModel, embed_texts
from spark.embedding.failures import Failure, collect_failures, record_failures, refuse_many_failures
from spark.embedding.pending import find_orphans, find_pending
from spark.embedding.plan import EmbedPlan, plan_embedding
from spark.embedding.totals import EmbedTotals, WaveTiming, sum_rows
from spark.embedding.waves import Wave, plan_waves, select_wave
from spark.embedding.writer import WaveWriter

log = logging.getLogger(__name__)

MADE_BY = "jobs/ingest_catalog.py --feed FEED"

# A commit costs 1 to 4 s: at 100 rows/s and core, 25,000 rows a core are some minutes of work per wave.
ROWS_PER_WAVE_AND_CORE = 25_000
# Every wave costs a commit: with fewer rows a run would be commits and nothing else.
MIN_ROWS_PER_WAVE = 10
# A task of fewer rows matches lengths badly; more tasks than executors let a fast executor take over from a slow one.
MIN_TASK_ROWS, TASKS_PER_EXECUTOR = 1_024, 4


@dataclass(frozen=True, kw_only=True)
class EmbedSettings:
    """How a run goes about it."""

    threads: int  # of an executor
    run_id: str | None = None  # a hash of (listings version, space) otherwise
    rows_per_wave: int | None = None
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

    accounting: Accounting
    totals: EmbedTotals
    removed: int  # vectors whose listing is gone
    listings_version: int


@dataclass(frozen=True, kw_only=True)
class Work:
    """What there is to do, counted."""

    listings: DataFrame
    embeddings: DataFrame
    pending: DataFrame  # persisted
    rows: int  # of listings
    rows_by_bucket: dict[int, int]  # of pending
    waves: list[Wave]
    buckets: int
    path: str  # of the embeddings


def embed_catalog(spark: SparkSession, workspace: Workspace, model: ModelBytes, settings: EmbedSettings) -> EmbedResult:
    """Give every listing a vector of its present text in the model's space, and take away vectors of removed listings.

    Raises BadDataError where the model fails on more than ``max_reject_share`` of the texts (the others have their vectors
    then), ConfigurationError where another run holds the lease of a table on object storage.
    """
    version = pin_version(spark, workspace, settings.run_id)
    run_id = settings.run_id or default_run_id(version, model.space_id)
    broadcast = spark.sparkContext.broadcast(EngineModel(model=model, threads=settings.threads))
    lease = Lease(workspace.leases(EMBEDDINGS.name), run_id) if workspace.is_remote else None
    try:
        with lease or nullcontext(), find_work(spark, workspace, model, version, settings) as work:
            writer = WaveWriter(path=work.path, space_id=model.space_id, run_id=run_id, buckets=work.buckets, lease=lease)
            totals, failures = _run_waves(work, broadcast, writer, settings)
            removed = _remove_orphans(work, model.space_id)
            record_failures(spark, workspace, failures, space_id=model.space_id, run_id=run_id)
    finally:
        broadcast.unpersist()
    refuse_many_failures(failures, totals.rows + totals.failed, settings.max_reject_share)
    reasons = Counter(failure.reason for failure in failures)
    accounting = Accounting(
        rows_in=work.rows,
        written=totals.rows,
        unchanged=work.rows - sum(work.rows_by_bucket.values()),
        rejected=len(failures),
        rejected_reasons=dict(sorted(reasons.items())),
    )
    return EmbedResult(accounting=accounting, totals=totals, removed=removed, listings_version=version)


def plan_catalog(spark: SparkSession, workspace: Workspace, model: ModelBytes, settings: EmbedSettings) -> EmbedPlan:
    """What ``embed_catalog`` would do. Nothing is written, but for an empty table where there is none."""
    version = pin_version(spark, workspace, None)
    with find_work(spark, workspace, model, version, settings) as work:
        rows = sum(work.rows_by_bucket.values())
        cores = spark.sparkContext.defaultParallelism
        return plan_embedding(work.pending, model, rows=rows, waves=len(work.waves), cores=cores)


def default_run_id(listings_version: int, space_id: str) -> str:
    """The same listings and space are the same run, however often it is started."""
    return "embed-" + sha256_hex(f"{listings_version} {space_id}".encode())[:12]


def pin_version(spark: SparkSession, workspace: Workspace, run_id: str | None) -> int:
    """The listings' version of this run: today's, or the one that the run of that id fixed at its first start."""
    newest = last_change(workspace.table(LISTINGS.name), made_by=MADE_BY)
    if run_id is None:
        return newest
    pin = workspace.pin(run_id)
    storage.write_new(pin, json.dumps({"listings_version": newest}).encode())
    return int(json.loads(storage.read_bytes(pin))["listings_version"])


@contextmanager
def find_work(
    spark: SparkSession, workspace: Workspace, model: ModelBytes, version: int, settings: EmbedSettings
) -> Iterator[Work]:
    """The pending texts, kept on the executors' disks in the order of their buckets, so that a wave skips the others'."""
    listings = read_table(spark, workspace.table(LISTINGS.name), made_by=MADE_BY, version=version)
    path = workspace.table(EMBEDDINGS.name)
    rows = listings.count()
    create_table(spark, path, EMBEDDINGS, {BUCKETS_PROPERTY: str(choose_buckets(rows))})
    # A fixed version: what a lost executor held is computed again from the same files.
    embeddings = read_table(spark, path, made_by="jobs/embed_catalog.py", version=table_version(spark, path))
    buckets = int(table_properties(spark, path)[BUCKETS_PROPERTY])
    pending = find_pending(listings, embeddings, rendering=model.rendering, space_id=model.space_id, buckets=buckets)
    pending = pending.repartition("bucket").sortWithinPartitions("bucket").persist(StorageLevel.DISK_ONLY)
    try:
        rows_by_bucket = {int(bucket): rows for bucket, rows in count_by(pending, "bucket").items()}
        cores = max(settings.threads, spark.sparkContext.defaultParallelism)
        waves = plan_waves(rows_by_bucket, settings.rows_per_wave or ROWS_PER_WAVE_AND_CORE * cores)
        yield Work(
            listings=listings, embeddings=embeddings, pending=pending, rows=rows, rows_by_bucket=rows_by_bucket, waves=waves,
            buckets=buckets, path=path,
        )  # fmt: skip
    finally:
        pending.unpersist()


def _run_waves(work: Work, model: Broadcast, writer: WaveWriter, settings: EmbedSettings) -> tuple[EmbedTotals, list[Failure]]:
    totals, failures = EmbedTotals(), []
    all_rows = sum(work.rows_by_bucket.values())
    executors = max(1, work.pending.sparkSession.sparkContext.defaultParallelism // settings.threads)
    log.info("starting: %s rows without a vector, in %d waves", f"{all_rows:,}", len(work.waves))
    for number, wave in enumerate(work.waves, start=1):
        failures += _run_wave(work.pending, wave, number, executors, model, writer, totals)
        done = totals.rows + totals.failed
        log.info(
            "wave %d of %d: %s of %s rows, %.0f rows/s, %.0f s left",
            number,
            len(work.waves),
            f"{done:,}",
            f"{all_rows:,}",
            totals.rows_per_s,
            (all_rows - done) / totals.rows_per_s if totals.rows_per_s else 0.0,  # a slice can be empty
        )
    return totals, failures


def _run_wave(
    pending: DataFrame, wave: Wave, number: int, executors: int, model: Broadcast, writer: WaveWriter, totals: EmbedTotals
) -> list[Failure]:
    started, clock = datetime.now(UTC), time.monotonic()
    texts = select_wave(pending, wave).repartition(count_tasks(wave.rows, executors), "locale", "item_id")
    embedded = embed_texts(texts, model).persist(StorageLevel.DISK_ONLY)
    try:
        before = totals.rows + totals.failed, totals.failed
        totals.add(sum_rows(embedded))
        failures = collect_failures(embedded) if totals.failed > before[1] else []
        committing = time.monotonic()
        writer.write(embedded.where(F.col("failure").isNull()), wave, started)
    finally:
        embedded.unpersist()
    now = time.monotonic()
    rows = totals.rows + totals.failed - before[0]
    totals.waves.append(WaveTiming(wave=number, rows=rows, seconds=now - clock, commit_seconds=now - committing))
    return failures


def count_tasks(rows: int, executors: int) -> int:
    """Tasks of a wave: a multiple of the executors, of at most ARROW_ROWS rows each, several an executor if there is enough."""
    wanted = max(-(-rows // ARROW_ROWS), min(rows // MIN_TASK_ROWS, TASKS_PER_EXECUTOR * executors), 1)
    return -(-wanted // executors) * executors if wanted > 1 else 1


def _remove_orphans(work: Work, space_id: str) -> int:
    orphans = find_orphans(work.listings, work.embeddings, space_id=space_id)
    by_bucket = {int(bucket): rows for bucket, rows in count_by(orphans, "bucket").items()}
    if by_bucket:
        prune = F.col("t.bucket").isin(*by_bucket) & (F.col("t.space_id") == space_id)
        delete_keys(orphans.select(*EMBEDDINGS.key), work.path, EMBEDDINGS, prune=prune)
    return sum(by_bucket.values())
