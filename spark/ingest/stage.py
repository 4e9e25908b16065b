"""The one pass over a feed: every record judged and written, ready, to the run's own staging table; then counted there.

What the counts and the keys decide comes after it and reads only the columns that it needs. Where a feed brings nothing but new
listings, the staged files themselves become part of ``listings``.
"""

import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from pyspark import StorageLevel
from pyspark.sql import Column, DataFrame, Row
from pyspark.sql import functions as F

from m5model import storage
from schemas.listing import LISTING_KEY
from schemas.locales import LANGUAGES, LOCALES
from schemas.reject import REASONS, REPAIRS, UNREADABLE
from schemas.staging import LISTING, REJECT, STAGED_RECORDS, SUSPECT, TOMBSTONE
from schemas.workspace import Workspace
from spark.adoption import read_log
from spark.ingest.feeds import parse_raw_records
from spark.ingest.judging import judge_records, judge_suspects
from spark.ingest.rules import Limits
from spark.ingest.settle import find_repeated_keys
from spark.tables import append_rows, read_table, write_new_table

ENTRY = (*LISTING_KEY, "updated_at", "source_file", "content_hash")


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A feed's records, judged, written and counted. ``records`` are rows of STAGED_RECORDS."""

    path: str
    records: DataFrame
    repeated: DataFrame | None  # hashes of keys that stand in the feed several times; None where there are none
    listings: int
    tombstones: int
    rejected: int
    reasons: Mapping[str, int]
    repairs: Mapping[str, int]  # good records, by repair
    languages: Mapping[str, int]  # staged listings, by language
    unreadable: int
    locales: tuple[str, ...]  # known ones, of records that are good, or bad with a locale that could be read

    @property
    def rows_in(self) -> int:
        return self.listings + self.tombstones + self.rejected

    @property
    def rows(self) -> DataFrame:
        """Staged listings."""
        return self.records.where(F.col("state") == LISTING)

    @property
    def good(self) -> DataFrame:
        """Entries of good records, see settle."""
        good = self.records.where(F.col("state").isin(LISTING, TOMBSTONE))
        return good.select(*ENTRY, (F.col("state") == TOMBSTONE).alias("is_tombstone"))

    @property
    def bad(self) -> DataFrame:
        return self.records.where(F.col("state") == REJECT)

    @property
    def keys(self) -> DataFrame:
        """Keys of all records that could be read, rejects among them."""
        keys = self.records.select(F.coalesce("locale", "rejected_locale").alias("locale"), "item_id")
        return keys.where(F.col("item_id").isNotNull())


@contextmanager
def stage_records(candidates: DataFrame, workspace: Workspace, run_id: str, limits: Limits) -> Iterator[Stage]:
    """Judge the records, write and count them. The staging table lives until the context ends; one at a time (a lease)."""
    storage.delete_folder(workspace.table(STAGED_RECORDS.name))  # a killed run's
    path = f"{workspace.table(STAGED_RECORDS.name)}/{uuid.uuid4().hex}"
    try:
        records = _write_stage(candidates, path, run_id, limits)
        counts = records.agg(*_counters()).collect()[0]
        good = records.where(F.col("state") != REJECT)
        repeated = find_repeated_keys(good).persist(StorageLevel.DISK_ONLY)
        try:
            yield _count_stage(path, records, None if repeated.isEmpty() else repeated, counts)
        finally:
            repeated.unpersist()
    finally:
        storage.delete_folder(path)


def _write_stage(candidates: DataFrame, path: str, run_id: str, limits: Limits) -> DataFrame:
    """All records judged and written; returns them. Suspects, which are in the first commit only, are left out."""
    spark = candidates.sparkSession
    write_new_table(judge_records(candidates, limits, run_id), path, STAGED_RECORDS)
    suspects = [file for file in read_log(path) if file.partition["state"] == SUSPECT]
    if suspects:
        raw = read_table(spark, path, made_by="an ingest", version=0).where(F.col("state") == SUSPECT)
        append_rows(judge_suspects(parse_raw_records(raw), limits, run_id), path, STAGED_RECORDS)
    return read_table(spark, path, made_by="an ingest").where(F.col("state") != SUSPECT)


def _counters() -> list[Column]:
    state = F.col("state")
    counters = {name: F.when(state == name, 1) for name in (LISTING, TOMBSTONE, REJECT)}
    counters |= {f"reason {name}": F.when(F.array_contains("reasons", name), 1) for name in REASONS}
    repaired = (state != REJECT) & (F.size("repairs") > 0)
    counters |= {f"repair {name}": F.when(repaired & F.array_contains("repairs", name), 1) for name in REPAIRS}
    counters |= {f"language {name}": F.when((state == LISTING) & (F.col("language") == name), 1) for name in LANGUAGES}
    locale = F.coalesce("locale", "rejected_locale")
    locales = F.collect_set(F.when(locale.isin(*LOCALES), locale))
    return [*[F.count(counted).alias(name) for name, counted in counters.items()], locales.alias("locales")]


def _count_stage(path: str, records: DataFrame, repeated: DataFrame | None, counts: Row) -> Stage:
    def some(kind: str, names: Iterator[str]) -> dict[str, int]:
        return {name: counts[f"{kind} {name}"] for name in names if counts[f"{kind} {name}"]}

    reasons = some("reason", iter(sorted(REASONS)))
    return Stage(
        path=path,
        records=records,
        repeated=repeated,
        listings=counts[LISTING],
        tombstones=counts[TOMBSTONE],
        rejected=counts[REJECT],
        reasons=reasons,
        repairs=some("repair", iter(sorted(REPAIRS))),
        languages=some("language", iter(sorted(LANGUAGES))),
        unreadable=sum(count for name, count in reasons.items() if name in UNREADABLE),
        locales=tuple(sorted(counts["locales"])),
    )
