"""Each distinct text is computed once: a vector is a function of its text, so a listing whose text has one already gets a copy.

A repeat is a pending listing whose text another one has, too: one that is embedded in this run, or one whose vector of that
text stands in the table. Where there are none, a run pays one shuffle of the pending fingerprints.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from pyspark import StorageLevel
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from schemas.errors import BadDataError
from schemas.listing import LISTING_KEY
from spark.embedding.failures import MAX_FAILURES_PER_WAVE, Failure
from spark.embedding.target import Target
from spark.embedding.waves import plan_waves, select_wave

log = logging.getLogger(__name__)

# A copied row costs a hundredth of an embedded one, so a commit may hold many more of them.
COPIES_PER_EMBEDDED_ROW = 20


@dataclass(frozen=True, kw_only=True)
class Repeats:
    """Pending listings that need no call of the model."""

    rows: DataFrame  # (locale, item_id, fingerprint, bucket)
    by_bucket: Mapping[int, int]

    @property
    def count(self) -> int:
        return sum(self.by_bucket.values())

    def without(self, pending: DataFrame) -> DataFrame:
        """The pending rows that are no repeats: one of each text that has no vector."""
        return pending.join(self.rows.select(*LISTING_KEY), list(LISTING_KEY), "left_anti") if self.count else pending

    def left_by_bucket(self, pending: Mapping[int, int]) -> dict[int, int]:
        """Counts the rows that ``without`` leaves of each bucket's."""
        left = {bucket: rows - self.by_bucket.get(bucket, 0) for bucket, rows in pending.items()}
        return {bucket: rows for bucket, rows in left.items() if rows}


@contextmanager
def find_repeats(pending: DataFrame, vectors: DataFrame) -> Iterator[Repeats]:
    """The repeats of ``pending`` (see find_pending), kept on the executors' disks. ``vectors`` are those of the space.

    Of listings that share a text without a vector, the one with the smallest key is no repeat.
    """
    by_text = Window.partitionBy("fingerprint").orderBy(*LISTING_KEY)
    numbered = pending.select(*LISTING_KEY, "fingerprint", "bucket").withColumn("place", F.row_number().over(by_text))
    known = vectors.select("fingerprint", F.lit(True).alias("is_known")).distinct()
    found = numbered.join(known, "fingerprint", "left").where((F.col("place") > 1) | F.col("is_known"))
    rows = found.select(*LISTING_KEY, "fingerprint", "bucket").persist(StorageLevel.DISK_ONLY)
    try:
        counted = rows.groupBy("bucket").count().collect()
        yield Repeats(rows=rows, by_bucket={row["bucket"]: row["count"] for row in counted})
    finally:
        rows.unpersist()


def copy_vectors(repeats: Repeats, target: Target, failures: Sequence[Failure], rows_per_wave: int) -> list[Failure]:
    """Give every repeat the vector of its text, and return those whose text has none because the model failed on it.

    Vectors are read as they were before the run (a listing whose text changed has lost its old one since) and as they are now.
    Raises BadDataError where a text has neither vector nor failure.
    """
    spark = repeats.rows.sparkSession
    both = target.read(spark).unionByName(target.renewed().read(spark)).select(*LISTING_KEY, "fingerprint", "vector")
    wanted = repeats.rows.select("fingerprint").distinct()
    first = F.min_by("vector", F.struct(*LISTING_KEY)).alias("vector")
    sources = both.join(wanted, "fingerprint", "left_semi").groupBy("fingerprint").agg(first).persist(StorageLevel.DISK_ONLY)
    try:
        without = repeats.rows.join(sources, "fingerprint", "left_anti").limit(MAX_FAILURES_PER_WAVE + 1).collect()
        for wave in plan_waves(repeats.by_bucket, rows_per_wave * COPIES_PER_EMBEDDED_ROW):
            rows = select_wave(repeats.rows, wave).join(sources, "fingerprint")
            target.write(rows, wave.buckets, datetime.now(UTC))
    finally:
        sources.unpersist()
    log.info("copied the vectors of %s listings whose text had one", f"{repeats.count - len(without):,}")
    reason_of = {failure.fingerprint: failure for failure in failures}
    lost = [row for row in without if row["fingerprint"] not in reason_of]
    if lost:
        raise BadDataError(f"{len(lost)} texts have no vector to copy, e.g. of {lost[0]}", next_step="start the run again")
    return [replace(reason_of[row["fingerprint"]], locale=row["locale"], item_id=row["item_id"]) for row in without]
