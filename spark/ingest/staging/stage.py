"""The one pass over a feed: every record is judged, counted and written, ready, to the run's own staging table.

What follows decides by counts and keys and reads only the columns that it needs. Where a feed brings nothing but new listings,
the staged files themselves become part of ``listings``.
"""

import json
import logging
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial, reduce

from pyspark import StorageLevel
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import from_arrow_schema

from m5model.files import storage
from schemas.errors import find_error
from schemas.feed_account import verify_accounts
from schemas.listing import LISTING_KEY, LISTINGS
from schemas.staging import KNOWN, LISTING, ORIGIN, REJECT, STAGED_RECORDS, TOMBSTONE
from schemas.workspace import Workspace
from spark.delta.data_files import DataFile
from spark.delta.files import found_table
from spark.delta.tables import read_table
from spark.ingest.judging.rules import Limits
from spark.ingest.reading.feeds import Feed
from spark.ingest.staging.accounts import FileTallies
from spark.ingest.staging.keys import find_repeated_keys, hash_key
from spark.ingest.staging.known_contents import ContentFiles
from spark.ingest.staging.tally import Tally
from spark.ingest.staging.workers import TASK_ROWS, Judge, judge_batches, judge_rows, judge_splits
from spark.ingest.staging.worth_knowing import list_content_files

log = logging.getLogger(__name__)

ENTRY = (*LISTING_KEY, "language", "updated_at", "content_hash", *ORIGIN)


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A feed's records, judged, written and counted. ``records`` are rows of STAGED_RECORDS."""

    path: str
    started_at: datetime
    records: DataFrame
    repeated: DataFrame | None  # hashes of keys that occur more than once in the feed; None where there are none
    tally: Tally
    tallies: FileTallies  # where the bytes of each file went
    stored: ContentFiles | None = None  # of ``listings``, in which known records stand; None where none was looked at

    @property
    def rows_in(self) -> int:
        return self.tally.listings + self.tally.tombstones + self.tally.rejected

    @property
    def unchanged_locales(self) -> frozenset[str]:
        """Locales of which each stored listing stands in the feed, unchanged: as many keys, all different, are known."""
        if self.stored is None or self.repeated is not None:
            return frozenset()
        known = self.tally.known_by_locale
        return frozenset(locale for locale, rows in self.stored.rows.items() if known[locale] == rows)

    @property
    def undecided(self) -> int:
        """Good records that must be compared with the table."""
        return self.tally.listings + self.tally.tombstones - self.tally.known

    @property
    def rows(self) -> DataFrame:
        """Staged listings."""
        return self.records.where(F.col("state") == LISTING)

    @property
    def entries(self) -> DataFrame:
        """Entries of good records that must be compared: what deciding.ranking needs to know of each. A known record is among
        them where its key occurs more than once."""
        good = self._entries_of(LISTING, TOMBSTONE)
        if self.repeated is None or not self.tally.known:
            return good
        known = self._entries_of(KNOWN).withColumn("key_hash", hash_key())
        return good.unionByName(known.join(F.broadcast(self.repeated), "key_hash", "left_semi").drop("key_hash"))

    def _entries_of(self, *states: str) -> DataFrame:
        good = self.records.where(F.col("state").isin(*states))
        kinds = [(F.col("state") == state).alias(name) for name, state in (("is_tombstone", TOMBSTONE), ("is_known", KNOWN))]
        return good.select(*ENTRY, *kinds)

    @property
    def bad(self) -> DataFrame:
        return self.records.where(F.col("state") == REJECT)

    @property
    def keys(self) -> DataFrame:
        """Keys of all records that have a readable one, rejects among them."""
        keys = self.records.select(F.coalesce("locale", "rejected_locale").alias("locale"), "item_id")
        return keys.where(F.col("item_id").isNotNull())


@contextmanager
def stage_records(feed: Feed, workspace: Workspace, run_id: str, limits: Limits) -> Iterator[Stage]:
    """Judge, count and write a feed. The staging table lives until the context ends; one at a time (a lease)."""
    contents = list_content_files(workspace.table(LISTINGS.name), feed.size) if feed.size else None
    storage.delete_folder(workspace.table(STAGED_RECORDS.name))  # a killed run's
    path = f"{workspace.table(STAGED_RECORDS.name)}/{uuid.uuid4().hex}"
    started_at = datetime.now(UTC)
    judge = partial(judge_batches, path=path, run_id=run_id, ingested_at=started_at, limits=limits, stored_files=contents)
    task_rows = _judge_feed(feed, judge).persist(StorageLevel.DISK_ONLY)
    try:
        files, tally, tallies = _collect_reports(task_rows)
        verify_accounts(tallies.as_accounts())
        found_table(path, STAGED_RECORDS, files)
        hashes = task_rows.select("key_hash").where("key_hash IS NOT NULL")
        yield Stage(
            path=path,
            started_at=started_at,
            records=read_table(feed.spark, path, made_by="an ingest"),
            repeated=find_repeated_keys(hashes, tally.listings + tally.tombstones),
            tally=tally,
            tallies=tallies,
            stored=contents,
        )
    finally:
        task_rows.unpersist()
        storage.delete_folder(path)


def _judge_feed(feed: Feed, judge: Judge) -> DataFrame:
    """TASK_ROWS of all tasks. Lazy: the first action on it judges and writes the feed."""
    rows = from_arrow_schema(TASK_ROWS)
    frames = [feed.spark.createDataFrame([], rows)]
    if feed.tasks:
        ids = feed.spark.range(0, len(feed.tasks), 1, len(feed.tasks))
        frames.append(ids.mapInArrow(partial(judge_splits, tasks=feed.tasks, mapping=feed.mapping, judge=judge), rows))
    if feed.lines is not None:
        frames.append(feed.lines.mapInArrow(partial(judge_rows, judge=judge), rows))
    return reduce(DataFrame.union, frames)


def _collect_reports(task_rows: DataFrame) -> tuple[list[DataFile], Tally, FileTallies]:
    """The files written, and counts of what they hold and of what was read. Only tasks that succeeded report any.

    Raises the error of a file that could not be read.
    """
    files, tally, tallies = [], Tally(), FileTallies()
    reports = [json.loads(row["report"]) for row in task_rows.select("report").where("report IS NOT NULL").collect()]
    _raise_error([report["error"] for report in reports if report["error"]])
    for report in reports:
        files += [DataFile(**file) for file in report["files"]]
        tally.add(Tally.from_json(report["tally"]))
        tallies.add_json(report["tallies"])
    return files, tally, tallies


def _raise_error(errors: list[str]) -> None:
    """The first by name, of several that ended tasks."""
    if not errors:
        return
    error = find_error(min(errors))
    if error is None:
        raise RuntimeError(min(errors))
    if len(errors) > 1:
        log.warning("%d tasks ended at files that cannot be read; the first is named", len(errors))
    raise error
