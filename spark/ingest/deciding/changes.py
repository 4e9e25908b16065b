"""Decides what changes in ``listings``, and commits it: one commit to ``listing_tombstones``, then one to ``listings``.

Killed in between and run again, the outcome is the same: tombstones that are known already change nothing.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import reduce

from pyspark import StorageLevel
from pyspark.sql import DataFrame, Row
from pyspark.sql import functions as F

from m5model.files.lease import Lease
from schemas.feed_account import Share
from schemas.listing import LISTING_KEY, LISTING_TOMBSTONES, LISTINGS
from schemas.staging import LISTING
from schemas.workspace import Workspace
from spark.delta.files import adopt_files
from spark.delta.log import has_partition
from spark.delta.tables import (
    add_new_columns,
    append_rows,
    create_table,
    is_untouched,
    merge_rows,
    read_table,
    table_exists,
)
from spark.ingest.deciding.ranking import decide_outcomes, find_absent, mark_single, rank_entries
from spark.ingest.staging.accounts import GOOD
from spark.ingest.staging.stage import Stage

MADE_BY = "jobs/ingest_catalog.py"
IDENTITY = (*LISTING_KEY, "content_hash")
WRITTEN = ("inserted", "updated")  # the outcomes of which a row comes
FEW_ENTRIES = 100_000  # whose keys every task can hold


@dataclass(frozen=True, kw_only=True)
class Changes:
    """What becomes of the good records. ``entries`` is None where nothing was compared: all are inserted, or all unchanged."""

    entries: DataFrame | None
    outcomes: Mapping[str, int]
    languages: Mapping[str, int]  # of the rows that are inserted or updated
    by_file: Mapping[str, Mapping[str, Share]]  # good records by file and outcome
    has_copies: bool = False  # several entries of one key have the same content
    new_tombstones: int = 0
    absent: DataFrame | None = None  # listings that a complete feed lacks
    absent_count: int = 0

    @property
    def upserted(self) -> int:
        return sum(self.outcomes.get(name, 0) for name in WRITTEN)

    @property
    def removed(self) -> int:
        return self.outcomes.get("deleted", 0) + self.absent_count


@contextmanager
def decide_changes(stage: Stage, workspace: Workspace, *, complete: Collection[str] = ()) -> Iterator[Changes]:
    """Compare the feed's entries with the tables. What the feed lacks of the locales ``complete`` is to be deleted."""
    spark = stage.records.sparkSession
    listings_path, tombstones_path = (workspace.table(table.name) for table in (LISTINGS, LISTING_TOMBSTONES))
    has_tombstones = table_exists(spark, tombstones_path)
    locales = sorted(stage.tally.locales)
    is_simple = stage.repeated is None and not stage.tally.tombstones and not has_tombstones
    if is_simple and not has_partition(listings_path, "locale", locales, made_by=MADE_BY):
        yield Changes(
            entries=None,
            outcomes={"inserted": stage.tally.listings},
            languages=dict(sorted(stage.tally.languages.items())),
            by_file={file: {"inserted": tally.share_of(GOOD)} for file, tally in stage.tallies.items() if tally.records[GOOD]},
        )
        return
    here = F.col("locale").isin(*locales)
    listings = read_table(spark, listings_path, made_by=MADE_BY, version=stage.stored.version if stage.stored else None).where(
        here
    )
    with ExitStack() as kept:
        entries, rows = None, list[Row]()
        if stage.undecided or stage.repeated is not None:
            tombstones = read_table(spark, tombstones_path, made_by=MADE_BY).where(here) if has_tombstones else None
            entries = kept.enter_context(_keep(_compare(stage, listings, tombstones)))
            rows = _count_outcomes(entries)
        absent = None
        if doubtful := sorted(set(complete) - stage.unchanged_locales):
            candidates = listings.where(F.col("locale").isin(*doubtful))
            absent = kept.enter_context(_keep(find_absent(candidates, stage.keys)))
        known = _count_known(stage, rows)
        yield Changes(
            entries=entries,
            outcomes=_sum_by(rows, "outcome", unchanged=sum(share.records for share in known.values())),
            languages=_sum_by([row for row in rows if row["outcome"] in WRITTEN], "language"),
            by_file=_shares_by_file(rows, known),
            has_copies=any(row["has_copies"] for row in rows),
            new_tombstones=sum(row["new_tombstones"] for row in rows),
            absent=absent,
            absent_count=absent.count() if absent is not None else 0,
        )


@contextmanager
def _keep(rows: DataFrame) -> Iterator[DataFrame]:
    kept = rows.persist(StorageLevel.DISK_ONLY)
    try:
        yield kept
    finally:
        kept.unpersist()


def _compare(stage: Stage, listings: DataFrame, tombstones: DataFrame | None) -> DataFrame:
    """The entries with their outcomes. Beside few of them the tables are not sorted, only looked through."""
    entries = stage.entries
    ranked = mark_single(entries) if stage.repeated is None else rank_entries(entries, stage.repeated)
    if stage.repeated is None and stage.undecided <= FEW_ENTRIES:
        keys = F.broadcast(entries.select(*LISTING_KEY))
        listings = listings.join(keys, list(LISTING_KEY), "left_semi")
        tombstones = None if tombstones is None else tombstones.join(keys, list(LISTING_KEY), "left_semi")
    return decide_outcomes(ranked, listings, tombstones)


def _count_known(stage: Stage, rows: Sequence[Row]) -> dict[str, Share]:
    """Known records by file that are unchanged without a comparison: those that are not among the entries."""
    known = {file: tally.known_share for file, tally in stage.tallies.items() if tally.known}
    for row in rows:
        if row["is_known"]:
            known[row["source_file"]] -= Share(records=row["rows"], size=row["size"])
    return known


def _count_outcomes(entries: DataFrame) -> list[Row]:
    counted = entries.groupBy("outcome", "language", "source_file", "is_known").agg(
        F.count(F.lit(1)).alias("rows"),
        F.sum("size").alias("size"),
        F.coalesce(F.bool_or("is_copied"), F.lit(False)).alias("has_copies"),
        F.count_if("is_new_tombstone").alias("new_tombstones"),
    )
    return counted.collect()


def _shares_by_file(rows: Sequence[Row], unchanged: Mapping[str, Share]) -> dict[str, dict[str, Share]]:
    """Empty of rejects that are replayed: no file is read then."""
    shares = {file: {"unchanged": share} for file, share in unchanged.items()}
    for row in rows:
        if row["size"] is not None:
            of_file = shares.setdefault(row["source_file"], {})
            share = Share(records=row["rows"], size=row["size"])
            of_file[row["outcome"]] = of_file.get(row["outcome"], Share()) + share
    return shares


def _sum_by(rows: Sequence[Row], column: str, **further: int) -> dict[str, int]:
    sums = Counter[str]({name: count for name, count in further.items() if count})
    for row in rows:
        sums[row[column]] += row["rows"]
    return dict(sorted(sums.items()))


def write_changes(stage: Stage, changes: Changes, workspace: Workspace, run_id: str, lease: Lease) -> None:
    """Commits the changes: only rows whose content changed are touched."""
    path = workspace.table(LISTINGS.name)
    if changes.new_tombstones or changes.absent_count:
        _write_tombstones(stage, changes, workspace, run_id, lease)
    if not changes.upserted and not changes.removed:
        return
    lease.check()
    if not changes.removed and changes.outcomes.get("inserted") == stage.tally.listings - stage.tally.known:
        adopt_files(stage.path, path, LISTINGS, where={"state": LISTING})
        return
    rows = _select_changed(stage, changes).select(*LISTINGS.column_names)
    if not changes.removed and not changes.outcomes.get("updated"):
        append_rows(rows, path, LISTINGS)
    else:
        source = rows.withColumn("_delete", F.lit(False)).unionByName(_deletions(changes), allowMissingColumns=True)
        merge_rows(source, path, LISTINGS, update_when="s.content_hash <> t.content_hash", delete_marker="_delete")


def _select_changed(stage: Stage, changes: Changes) -> DataFrame:
    """The rows to be inserted or updated, found again by key and content, from the shorter list."""
    others = stage.undecided - changes.upserted
    if changes.entries is None or (not others and not changes.has_copies):
        return stage.rows
    wanted = F.col("outcome").isin(*WRITTEN)
    is_anti = others < changes.upserted and not changes.has_copies
    how, entries = ("left_anti", ~wanted) if is_anti else ("left_semi", wanted)
    selected = stage.rows.join(changes.entries.where(entries).select(*IDENTITY), list(IDENTITY), how)
    return selected.dropDuplicates(list(LISTING_KEY)) if changes.has_copies else selected


def _deletions(changes: Changes) -> DataFrame:
    deleted = [] if changes.entries is None else [changes.entries.where(F.col("outcome") == "deleted")]
    frames = [rows.select(*LISTING_KEY) for rows in (*deleted, changes.absent) if rows is not None]
    return reduce(DataFrame.unionByName, frames).withColumn("_delete", F.lit(True))


def _write_tombstones(stage: Stage, changes: Changes, workspace: Workspace, run_id: str, lease: Lease) -> None:
    """A tombstone without a time is as of now; a listing that was absent takes its own time along."""
    recorded_at = F.lit(stage.started_at)
    deleted_at = F.coalesce("updated_at", "received_at", recorded_at).alias("deleted_at")
    frames = []
    if changes.entries is not None:
        frames.append(changes.entries.where("is_new_tombstone").select(*LISTING_KEY, deleted_at))
    if changes.absent is not None:
        frames.append(changes.absent.withColumnRenamed("stored_at", "deleted_at"))
    rows = reduce(DataFrame.unionByName, frames)
    lease.check()
    _add_tombstones(
        rows.withColumn("run_id", F.lit(run_id)).withColumn("recorded_at", recorded_at),
        workspace.table(LISTING_TOMBSTONES.name),
    )


def _add_tombstones(rows: DataFrame, path: str) -> None:
    """Adds tombstones of unique keys; of a key that has one already, the later one is kept."""
    spark = rows.sparkSession
    create_table(spark, path, LISTING_TOMBSTONES)
    if is_untouched(path):
        append_rows(rows, path, LISTING_TOMBSTONES)
        return
    add_new_columns(spark, path, LISTING_TOMBSTONES)
    newer = "s.deleted_at > t.deleted_at OR (t.deleted_at IS NULL AND s.deleted_at IS NOT NULL)"
    merge_rows(rows, path, LISTING_TOMBSTONES, update_when=newer)
