"""The one pass over a feed: every record judged, counted and written, ready, to the run's own staging table.

What the counts and the keys decide comes after it and reads only the columns that it needs. Where a feed brings nothing but new
listings, the staged files themselves become part of ``listings``.
"""

import json
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
from schemas.listing import LISTING_KEY
from schemas.reject import UNREADABLE
from schemas.staging import LISTING, REJECT, STAGED_RECORDS, TOMBSTONE
from schemas.workspace import Workspace
from spark.delta.data_files import DataFile
from spark.delta.files import found_table
from spark.delta.tables import read_table
from spark.ingest.deciding.ranking import find_repeated_keys
from spark.ingest.judging.rules import Limits
from spark.ingest.reading.feeds import Feed
from spark.ingest.staging.tally import Tally
from spark.ingest.staging.workers import TOLD, judge_batches, judge_rows, judge_splits

KEYS_PER_PARTITION = 1_000_000  # sorted at once: 8 bytes each
ENTRY = (*LISTING_KEY, "updated_at", "source_file", "content_hash")


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A feed's records, judged, written and counted. ``records`` are rows of STAGED_RECORDS."""

    path: str
    records: DataFrame
    repeated: DataFrame | None  # hashes of keys that stand in the feed several times; None where there are none
    tally: Tally

    @property
    def rows_in(self) -> int:
        return self.tally.listings + self.tally.tombstones + self.tally.rejected

    @property
    def unreadable(self) -> int:
        return sum(self.tally.reasons[name] for name in UNREADABLE)

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
def stage_records(feed: Feed, workspace: Workspace, run_id: str, limits: Limits) -> Iterator[Stage]:
    """Judge, count and write a feed. The staging table lives until the context ends; one at a time (a lease)."""
    storage.delete_folder(workspace.table(STAGED_RECORDS.name))  # a killed run's
    path = f"{workspace.table(STAGED_RECORDS.name)}/{uuid.uuid4().hex}"
    told = _judge_feed(feed, path, run_id, limits).persist(StorageLevel.DISK_ONLY)
    try:
        files, tally = _collect(told)
        found_table(path, STAGED_RECORDS, files)
        partitions = max(feed.spark.sparkContext.defaultParallelism, (tally.listings + tally.tombstones) // KEYS_PER_PARTITION)
        repeated = find_repeated_keys(told.select("key_hash").where("key_hash IS NOT NULL"), partitions)
        yield Stage(
            path=path,
            records=read_table(feed.spark, path, made_by="an ingest"),
            repeated=None if repeated.isEmpty() else repeated,
            tally=tally,
        )
    finally:
        told.unpersist()
        storage.delete_folder(path)


def _judge_feed(feed: Feed, path: str, run_id: str, limits: Limits) -> DataFrame:
    """Rows of TOLD. The first one who looks at them has the feed judged and written."""
    judge = partial(judge_batches, path=path, run_id=run_id, ingested_at=datetime.now(UTC), limits=limits)
    rows = from_arrow_schema(TOLD)
    frames = [feed.spark.createDataFrame([], rows)]
    if feed.json_tasks:
        ids = feed.spark.range(0, len(feed.json_tasks), 1, len(feed.json_tasks))
        frames.append(ids.mapInArrow(partial(judge_splits, tasks=feed.json_tasks, judge=judge), rows))
    if feed.lines is not None:
        frames.append(feed.lines.mapInArrow(partial(judge_rows, judge=judge), rows))
    return reduce(DataFrame.union, frames)


def _collect(told: DataFrame) -> tuple[list[DataFile], Tally]:
    """The files written, and what they hold. Only tasks that succeeded tell of theirs."""
    files, tally = [], Tally()
    for row in told.select("told").where("told IS NOT NULL").collect():
        values = json.loads(row["told"])
        files += [DataFile(**file) for file in values["files"]]
        tally.add(Tally.from_json(values["tally"]))
    return files, tally
