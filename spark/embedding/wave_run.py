"""Embeds pending texts wave after wave: encode on the executors, add up, commit."""

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime

from pyspark import Broadcast, StorageLevel
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from m5model.runtime.encoder import ModelBytes
from spark.embedding.engine import ARROW_ROWS, EngineModel, embed_texts
from spark.embedding.failures import Failure, collect_failures
from spark.embedding.target import Target
from spark.embedding.totals import EmbedTotals, WaveTiming, sum_rows
from spark.embedding.waves import Wave, select_wave

log = logging.getLogger(__name__)

# A task of fewer rows matches lengths badly; more tasks than executors let a fast executor take over from a slow one.
MIN_TASK_ROWS, TASKS_PER_EXECUTOR = 1_024, 4


def embed_waves(
    pending: DataFrame, waves: Sequence[Wave], target: Target, model: ModelBytes, *, threads: int, totals: EmbedTotals
) -> list[Failure]:
    """Embed and commit every wave of ``pending`` (see find_pending); adds to ``totals`` and returns the texts that failed."""
    context = pending.sparkSession.sparkContext
    executors = max(1, context.defaultParallelism // threads)
    all_rows = sum(wave.rows for wave in waves)
    log.info("starting: about %s rows without a vector, in %d waves", f"{all_rows:,}", len(waves))
    broadcast = context.broadcast(EngineModel(model=model, threads=threads))
    failures: list[Failure] = []
    try:
        with keep_pending(pending, waves) as kept:
            for number, wave in enumerate(waves, start=1):
                failures += _embed_wave(kept, wave, number, executors, broadcast, target, totals)
                log_progress(number, len(waves), all_rows, totals)
    finally:
        broadcast.unpersist()
    return failures


@contextmanager
def keep_pending(pending: DataFrame, waves: Sequence[Wave]) -> Iterator[DataFrame]:
    """The pending texts on the executors' disks, in the order of their buckets, so that a wave skips the others'.

    A single wave reads them once: they are kept nowhere.
    """
    if len(waves) == 1:
        yield pending
        return
    kept = pending.repartition("bucket").sortWithinPartitions("bucket").persist(StorageLevel.DISK_ONLY)
    try:
        kept.count()  # now, so that finding the texts is no part of the first wave's time
        yield kept
    finally:
        kept.unpersist()


def count_tasks(rows: int, executors: int) -> int:
    """Tasks of a wave: a multiple of the executors, of at most ARROW_ROWS rows each, several an executor if there is enough."""
    wanted = max(-(-rows // ARROW_ROWS), min(rows // MIN_TASK_ROWS, TASKS_PER_EXECUTOR * executors), 1)
    return -(-wanted // executors) * executors if wanted > 1 else 1


def _embed_wave(
    pending: DataFrame, wave: Wave, number: int, executors: int, model: Broadcast, target: Target, totals: EmbedTotals
) -> list[Failure]:
    started, clock = datetime.now(UTC), time.monotonic()
    texts = select_wave(pending, wave).repartition(count_tasks(wave.rows, executors), "locale", "item_id")
    embedded = embed_texts(texts, model).persist(StorageLevel.DISK_ONLY)
    tried, failed = totals.rows + totals.failed, totals.failed
    try:
        totals.add(sum_rows(embedded))
        rows = totals.rows + totals.failed - tried
        failures = collect_failures(embedded) if totals.failed > failed else []
        committing = time.monotonic()
        if rows > len(failures):  # a slice of a bucket may hold no row
            target.write(embedded.where(F.col("failure").isNull()), wave.buckets, started)
    finally:
        embedded.unpersist()
    now = time.monotonic()
    totals.waves.append(WaveTiming(wave=number, rows=rows, seconds=now - clock, commit_seconds=now - committing))
    return failures


def log_progress(number: int, waves: int, all_rows: int, totals: EmbedTotals) -> None:
    """Say how far the run is, and how long the rest will take."""
    done = totals.rows + totals.failed
    left = max(0, all_rows - done) / totals.rows_per_s if totals.rows_per_s else 0.0  # a slice may hold no row
    text = "wave %d of %d: %s of about %s rows, %.0f rows/s, %.0f s left"
    log.info(text, number, waves, f"{done:,}", f"{all_rows:,}", totals.rows_per_s, left)
