"""One embed run: listings at a pinned version in, ``embeddings`` out. Killed at any moment and started again, it does what
is missing and nothing else."""

import json
import logging
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime

from pyspark import Broadcast, StorageLevel
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from m5model import storage
from m5model.rendering import Rendering
from m5model.runtime.encoder import ModelBytes
from schemas.embedding import BUCKETS_PROPERTY, DEFAULT_BUCKETS, EMBEDDINGS
from schemas.listing import LISTINGS
from schemas.report import Accounting
from schemas.space import sha256_hex
from schemas.workspace import Workspace
from spark.embedding.engine import ARROW_ROWS, EngineModel, embed_texts
from spark.embedding.pending import find_orphans, find_pending, key_bucket
from spark.embedding.waves import Wave, plan_waves
from spark.ingest.ingest import count_by
from spark.tables import create_table, delete_keys, merge_rows, read_table, table_properties, table_version

log = logging.getLogger(__name__)

MADE_BY = "jobs/ingest_catalog.py --feed FEED"

# A commit costs 1 to 4 s: at 100 rows/s and core, 25,000 rows a core are some minutes of work per wave.
ROWS_PER_WAVE_AND_CORE = 25_000


@dataclass(kw_only=True)
class EmbedTotals:
    """What the waves of a run add up to."""

    rows: int = 0
    seconds: float = 0.0
    tokens: int = 0
    computed_tokens: int = 0
    truncated: int = 0
    rows_by_locale: dict[str, int] = field(default_factory=dict)

    @property
    def padding_waste(self) -> float:
        """Share of computed tokens that were padding."""
        return 1 - self.tokens / self.computed_tokens if self.computed_tokens else 0.0


@dataclass(frozen=True, kw_only=True)
class EmbedResult:
    """What an embed run did."""

    accounting: Accounting
    totals: EmbedTotals
    waves: int
    removed: int  # vectors whose listing is gone
    listings_version: int


def embed_catalog(
    spark: SparkSession,
    workspace: Workspace,
    model: ModelBytes,
    rendering: Rendering,
    *,
    threads: int,
    run_id: str | None = None,
    rows_per_wave: int | None = None,
) -> EmbedResult:
    """Give every listing a vector of its present text in the model's space, and take away vectors of removed listings."""
    version = pin_version(spark, workspace, run_id)
    listings = read_table(spark, workspace.table(LISTINGS.name), made_by=MADE_BY, version=version)
    path = workspace.table(EMBEDDINGS.name)
    create_table(spark, path, EMBEDDINGS, {BUCKETS_PROPERTY: str(DEFAULT_BUCKETS)})
    embeddings = read_table(spark, path, made_by="jobs/embed_catalog.py")
    buckets = int(table_properties(spark, path)[BUCKETS_PROPERTY])
    pending = find_pending(listings, embeddings, rendering=rendering, space_id=model.space_id, buckets=buckets)
    pending = pending.persist(StorageLevel.DISK_ONLY)
    broadcast = spark.sparkContext.broadcast(EngineModel(model=model, rendering=rendering, threads=threads))
    try:
        rows_by_bucket = {int(bucket): rows for bucket, rows in count_by(pending, "bucket").items()}
        per_wave = rows_per_wave or ROWS_PER_WAVE_AND_CORE * max(threads, spark.sparkContext.defaultParallelism)
        waves = plan_waves(rows_by_bucket, per_wave)
        run = run_id or default_run_id(version, model.space_id)
        writer = WaveWriter(path=path, space_id=model.space_id, run_id=run, buckets=buckets)
        totals = _run_waves(pending, waves, broadcast, writer)
    finally:
        broadcast.unpersist()
        pending.unpersist()
    removed = _remove_orphans(listings, embeddings, path, model.space_id)
    rows_in = listings.count()
    accounting = Accounting(rows_in=rows_in, written=totals.rows, unchanged=rows_in - sum(rows_by_bucket.values()))
    return EmbedResult(accounting=accounting, totals=totals, waves=len(waves), removed=removed, listings_version=version)


def default_run_id(listings_version: int, space_id: str) -> str:
    """The same listings and space are the same run, however often it is started."""
    return "embed-" + sha256_hex(f"{listings_version} {space_id}".encode())[:12]


def pin_version(spark: SparkSession, workspace: Workspace, run_id: str | None) -> int:
    """The listings' version of this run: today's, or the one that the run of that id fixed at its first start."""
    path = workspace.table(LISTINGS.name)
    read_table(spark, path, made_by=MADE_BY)  # says so where there is no table
    if run_id is None:
        return table_version(spark, path)
    pin = workspace.pin(run_id)
    storage.write_new(pin, json.dumps({"listings_version": table_version(spark, path)}).encode())
    return int(json.loads(storage.read_bytes(pin))["listings_version"])


@dataclass(frozen=True, kw_only=True)
class WaveWriter:
    """Writes the vectors of one wave in one commit that is safe to repeat."""

    path: str
    space_id: str
    run_id: str
    buckets: int

    def write(self, embedded: DataFrame, wave: Wave, started: datetime) -> None:
        rows = embedded.withColumn("bucket", key_bucket(self.buckets)).withColumn("space_id", F.lit(self.space_id))
        rows = rows.withColumn("run_id", F.lit(self.run_id)).withColumn("embedded_at", F.lit(started))
        prune = F.col("t.bucket").isin(*wave.buckets) & (F.col("t.space_id") == self.space_id)
        merge_rows(rows, self.path, EMBEDDINGS, update_when="s.fingerprint <> t.fingerprint", prune=prune)


def _run_waves(pending: DataFrame, waves: list[Wave], model: Broadcast, writer: WaveWriter) -> EmbedTotals:
    totals = EmbedTotals()
    all_rows = sum(wave.rows for wave in waves)
    for number, wave in enumerate(waves, start=1):
        started = time.monotonic()
        _run_wave(pending, wave, model, writer, totals)
        totals.seconds += time.monotonic() - started
        rate = totals.rows / totals.seconds
        left = (all_rows - totals.rows) / rate
        log.info(
            "wave %d of %d: %s of %s rows, %.0f rows/s, %.0f s left",
            number,
            len(waves),
            f"{totals.rows:,}",
            f"{all_rows:,}",
            rate,
            left,
        )
    return totals


def _run_wave(pending: DataFrame, wave: Wave, model: Broadcast, writer: WaveWriter, totals: EmbedTotals) -> None:
    started = datetime.now(UTC)
    texts = pending.where(F.col("bucket").isin(*wave.buckets))
    partitions = max(1, -(-wave.rows // ARROW_ROWS))
    embedded = embed_texts(texts.repartition(partitions, "locale", "item_id"), model).persist(StorageLevel.DISK_ONLY)
    try:
        _add_totals(embedded, wave, totals)
        writer.write(embedded, wave, started)
    finally:
        embedded.unpersist()


def _add_totals(embedded: DataFrame, wave: Wave, totals: EmbedTotals) -> None:
    sums = embedded.groupBy("locale").agg(
        F.count(F.lit(1)).alias("rows"),
        F.sum("tokens").alias("tokens"),
        F.sum("computed_tokens").alias("computed_tokens"),
        F.sum(F.col("truncated").cast("int")).alias("truncated"),
    )
    rows = 0
    for row in sums.collect():
        totals.rows_by_locale[row["locale"]] = totals.rows_by_locale.get(row["locale"], 0) + row["rows"]
        totals.tokens += row["tokens"]
        totals.computed_tokens += row["computed_tokens"]
        totals.truncated += row["truncated"]
        rows += row["rows"]
    totals.rows += rows


def _remove_orphans(listings: DataFrame, embeddings: DataFrame, path: str, space_id: str) -> int:
    orphans = find_orphans(listings, embeddings, space_id=space_id)
    by_bucket = {int(bucket): rows for bucket, rows in count_by(orphans, "bucket").items()}
    if by_bucket:
        prune = F.col("t.bucket").isin(*by_bucket) & (F.col("t.space_id") == space_id)
        delete_keys(orphans.select(*EMBEDDINGS.key), path, EMBEDDINGS, prune=prune)
    return sum(by_bucket.values())
