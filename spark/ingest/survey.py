"""The first pass over a feed: every record judged, none written. What it keeps of a good record is an entry (see settle).

A second pass writes the good rows. Reading and judging twice costs less than keeping all texts in between, and a feed
that brings nothing new needs no second pass at all.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from pyspark import StorageLevel
from pyspark.sql import Column, DataFrame, Row
from pyspark.sql import functions as F

from schemas.listing import LISTING_KEY
from schemas.reject import REASONS, REPAIRS, UNREADABLE
from spark.ingest.hashing import hash_contents
from spark.ingest.language import normalise_language
from spark.ingest.repairs import repair_texts
from spark.ingest.rules import Limits, judge_candidates
from spark.ingest.settle import find_repeated_keys

ENTRY = (*LISTING_KEY, "updated_at", "source_file", "content_hash", "is_tombstone")
REJECT = ("reasons", "detail", "raw", "raw_format")


@dataclass(frozen=True, kw_only=True)
class Survey:
    """A feed's records, counted. ``records`` holds ENTRY and REJECT columns; the latter are filled in rejects only."""

    records: DataFrame
    repeated: DataFrame | None  # hashes of keys that stand in the feed several times; None where there are none
    rows_in: int
    rejected: int
    reasons: Mapping[str, int]
    repairs: Mapping[str, int]  # good records, by repair
    unreadable: int
    tombstones: int
    undeclared: int  # good records without a language
    locales: tuple[str, ...]  # of records that are good, or bad with a key that could be read

    @property
    def good(self) -> DataFrame:
        return self.records.where(is_good()).select(*ENTRY)

    @property
    def bad(self) -> DataFrame:
        return self.records.where(~is_good())


def is_good() -> Column:
    return ~F.col("is_bad")


def judge_records(candidates: DataFrame, limits: Limits) -> DataFrame:
    """Candidates repaired and judged, with instants and ``content_hash``."""
    judged = judge_candidates(normalise_language(repair_texts(candidates)), limits)
    return hash_contents(judged.withColumn("updated_at", F.col("updated_at").try_cast("timestamp")))


@contextmanager
def survey_records(judged: DataFrame) -> Iterator[Survey]:
    """One pass over judged records; what it keeps lies on the executors' disks until the context ends."""
    raw = F.when(~is_good(), F.col("raw")).alias("raw")
    kept = judged.select(*ENTRY, "language", "is_bad", "reasons", "detail", raw, "raw_format", "repairs").persist(
        StorageLevel.DISK_ONLY
    )
    try:
        # Counted on what was kept: an observation's figures can count a lost executor's records twice.
        counts = kept.agg(*_counters()).collect()[0]
        repeated = find_repeated_keys(kept.where(is_good())).persist(StorageLevel.DISK_ONLY)
        try:
            yield _survey(kept, None if repeated.isEmpty() else repeated, counts)
        finally:
            repeated.unpersist()
    finally:
        kept.unpersist()


def _counters() -> list[Column]:
    bad = ~is_good()
    counters = {"rows_in": F.lit(1), "rejected": F.when(bad, 1), "tombstones": F.when(~bad & F.col("is_tombstone"), 1)}
    counters["undeclared"] = F.when(~bad & F.col("language").isNull(), 1)
    counters |= {f"reason {name}": F.when(F.array_contains("reasons", name), 1) for name in REASONS}
    counters |= {f"repair {name}": F.when(~bad & F.array_contains("repairs", name), 1) for name in REPAIRS}
    return [*[F.count(counted).alias(name) for name, counted in counters.items()], F.collect_set("locale").alias("locales")]


def _survey(kept: DataFrame, repeated: DataFrame | None, found: Row) -> Survey:
    reasons = {name: found[f"reason {name}"] for name in sorted(REASONS) if found[f"reason {name}"]}
    return Survey(
        records=kept,
        repeated=repeated,
        rows_in=found["rows_in"],
        rejected=found["rejected"],
        reasons=reasons,
        repairs={name: found[f"repair {name}"] for name in sorted(REPAIRS) if found[f"repair {name}"]},
        unreadable=sum(count for name, count in reasons.items() if name in UNREADABLE),
        tombstones=found["tombstones"],
        undeclared=found["undeclared"],
        locales=tuple(sorted(found["locales"])),
    )
