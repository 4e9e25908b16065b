"""The one pass over a feed: every record judged and written, ready, to the run's own staging table; then counted there.

What the counts and the keys decide comes after it and reads only the columns that it needs. Where a feed brings nothing but new
listings, the staged files themselves become part of ``listings``.
"""

import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from pyspark import StorageLevel
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from m5model import storage
from schemas.listing import LISTING_KEY
from schemas.locales import LOCALES
from schemas.reject import REASONS, REPAIRS, UNREADABLE
from schemas.staging import LISTING, REJECT, STAGED_RECORDS, SUSPECT, TOMBSTONE
from schemas.workspace import Workspace
from spark.adoption import read_log
from spark.ingest.feeds import parse_raw_records
from spark.ingest.judging import judge_marked, judge_suspects, mark_suspects, share_of_suspects
from spark.ingest.rules import Limits
from spark.ingest.settle import find_repeated_keys
from spark.tables import append_rows, read_table, write_new_table

# From here on, to judge suspects apart costs more than to show every record to Python.
MANY_SUSPECTS = 0.3

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
def stage_records(read: Callable[[bool], DataFrame], workspace: Workspace, run_id: str, limits: Limits) -> Iterator[Stage]:
    """Judge the records, write and count them. The staging table lives until the context ends; one at a time (a lease).

    ``read`` gives the candidates: all looked at closely (true), or some of them unclear.
    """
    storage.delete_folder(workspace.table(STAGED_RECORDS.name))  # a killed run's
    path = f"{workspace.table(STAGED_RECORDS.name)}/{uuid.uuid4().hex}"
    try:
        records = _write_stage(read, path, run_id, limits)
        good = records.where(F.col("state") != REJECT)
        repeated = find_repeated_keys(good).persist(StorageLevel.DISK_ONLY)
        try:
            yield _count_stage(path, records, None if repeated.isEmpty() else repeated)
        finally:
            repeated.unpersist()
    finally:
        storage.delete_folder(path)


def _write_stage(read: Callable[[bool], DataFrame], path: str, run_id: str, limits: Limits) -> DataFrame:
    """All records judged and written; returns them. Suspects, which are in the first commit only, are left out."""
    marked = mark_suspects(read(False))
    spark = marked.sparkSession
    if share_of_suspects(marked) > MANY_SUSPECTS:
        write_new_table(judge_suspects(read(True), limits, run_id), path, STAGED_RECORDS)
        return read_table(spark, path, made_by="an ingest")
    write_new_table(judge_marked(marked, limits, run_id), path, STAGED_RECORDS)
    if any(file.partition["state"] == SUSPECT for file in read_log(path)):
        raw = read_table(spark, path, made_by="an ingest", version=0).where(F.col("state") == SUSPECT)
        append_rows(judge_suspects(parse_raw_records(raw), limits, run_id), path, STAGED_RECORDS)
    return read_table(spark, path, made_by="an ingest").where(F.col("state") != SUSPECT)


def _count_stage(path: str, records: DataFrame, repeated: DataFrame | None) -> Stage:
    repairs = {name: (F.size("repairs") > 0) & F.array_contains("repairs", name) for name in REPAIRS}
    good = records.where(F.col("state") != REJECT).groupBy("state", "locale", "language")
    groups = good.agg(
        F.count(F.lit(1)).alias("rows"), *[F.count_if(has).alias(name) for name, has in repairs.items()]
    ).collect()
    reasons = {name: F.count_if(F.array_contains("reasons", name)) for name in REASONS}
    readable = F.collect_set(F.when(F.col("rejected_locale").isin(*LOCALES), F.col("rejected_locale"))).alias("locales")
    bad = records.where(F.col("state") == REJECT)
    rejected = bad.agg(F.count(F.lit(1)).alias("rows"), readable, *[count.alias(name) for name, count in reasons.items()])
    (of_bad,) = rejected.collect()
    languages: Counter[str] = Counter()
    states: Counter[str] = Counter()
    for group in groups:
        states[group["state"]] += group["rows"]
        if group["state"] == LISTING:
            languages[group["language"]] += group["rows"]
    return Stage(
        path=path,
        records=records,
        repeated=repeated,
        listings=states[LISTING],
        tombstones=states[TOMBSTONE],
        rejected=of_bad["rows"],
        reasons=_without_zeros({name: of_bad[name] for name in sorted(REASONS)}),
        repairs=_without_zeros({name: sum(group[name] for group in groups) for name in sorted(REPAIRS)}),
        languages=dict(sorted(languages.items())),
        unreadable=sum(of_bad[name] for name in UNREADABLE),
        locales=tuple(sorted({*of_bad["locales"], *(group["locale"] for group in groups)})),
    )


def _without_zeros(counts: Mapping[str, int]) -> dict[str, int]:
    return {name: count for name, count in counts.items() if count}
