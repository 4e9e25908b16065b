"""Changes some rows of a table by writing anew the files that they lie in, and no others, in one commit.

Delta's MERGE does the same with a shuffle of all rows of those files, and cannot be held to a version: it changes whatever the
table is by then. Here the commit is made only where the table is still at the version that the change was worked out from.
"""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import unquote
from uuid import uuid4

import pyarrow.parquet as pq
from deltalake import CommitProperties, DeltaTable, PostCommitHookProperties
from deltalake.exceptions import CommitFailedError
from deltalake.transaction import AddAction, RemoveAction
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

from m5model.files import storage
from m5model.files.delta import open_delta
from schemas.errors import ConfigurationError
from spark.delta.changed_files import file_sizes, read_files

# A file below this size is written anew with the others, so that small changes leave no trail of small files.
SMALL_FILE = 8 << 20  # bytes
STAGED = "_m5_rewrite"  # of the table's folder: readers and VACUUM pass by what begins so


@dataclass(frozen=True, kw_only=True)
class Rewrite:
    """What becomes of a table without partitions. One run at a time rewrites a table (see m5model.files.lease)."""

    path: str
    version: int  # of the table, that the change was worked out from
    keys: DataFrame  # rows with one of these keys go
    on: tuple[tuple[str, ...], ...]  # columns of the table that the columns of ``keys`` are compared with, in turn
    rows: DataFrame  # these come, with the columns of the table


def rewrite_rows(change: Rewrite, metadata: str) -> int:
    """Commit the change with the user metadata; returns the files written anew.

    Raises ConfigurationError where another writer changed the table meanwhile; nothing is committed then.
    """
    table = open_delta(change.path, change.version)
    sizes = file_sizes(table)
    small = {file for file, size in sizes.items() if size < SMALL_FILE}
    touched = sorted(small | _files_of_keys(change, list(sizes)))
    _clear_leftovers(change)
    commit_files(table, change.path, _write_files(change, touched), touched, metadata)
    storage.delete_folder(f"{change.path}/{STAGED}")
    return len(touched)


def commit_files(table: DeltaTable, path: str, added: Sequence[AddAction], removed: Sequence[str], metadata: str) -> None:
    """Commit to exactly the version that ``table`` was opened at."""
    now = _now()
    gone = [RemoveAction(path=file, data_change=True, deletion_timestamp=now) for file in removed]
    try:
        table.create_write_transaction(
            [*added, *gone],
            mode="append",
            schema=table.schema(),
            commit_properties=_once(metadata),
            post_commithook_properties=PostCommitHookProperties(create_checkpoint=True, cleanup_expired_logs=False),
        )
    except CommitFailedError as error:
        raise moved_on(path, table.version()) from error


def commit_properties(path: str, version: int, properties: Mapping[str, str], metadata: str) -> None:
    """Change properties of the table, and no row, where it is still at that version; see ``rewrite_rows``."""
    try:
        open_delta(path, version).alter.set_table_properties(
            dict(properties), raise_if_not_exists=False, commit_properties=_once(metadata)
        )
    except CommitFailedError as error:
        raise moved_on(path, version) from error


def moved_on(path: str, version: int) -> ConfigurationError:
    """The error where a table is no longer what a change to it was worked out from."""
    return ConfigurationError(
        f"{path} was changed by another run: it is no longer at version {version}",
        next_step="run the same command again; let one job publish at a time",
    )


def _once(metadata: str) -> CommitProperties:
    return CommitProperties(custom_metadata={"userMetadata": metadata}, max_commit_retries=0)


def _now() -> int:
    return int(time.time() * 1000)


def _files_of_keys(change: Rewrite, files: Sequence[str]) -> set[str]:
    """The files that hold a row with one of the keys: reads key columns alone."""
    columns = {name for names in change.on for name in names}
    schema = StructType([field for field in change.rows.schema.fields if field.name in columns])
    rows = read_files(change.rows.sparkSession, change.path, files, schema)
    rows = rows.select("*", F.col("_metadata.file_name").alias("file")) if files else rows.withColumn("file", F.lit(""))
    found = [_matching(rows, change.keys, names, "left_semi").select("file").distinct().collect() for names in change.on]
    names = {file.rpartition("/")[2]: file for file in files}
    return {names[unquote(row["file"])] for rows_found in found for row in rows_found}


def _matching(rows: DataFrame, keys: DataFrame, names: tuple[str, ...], how: str) -> DataFrame:
    return rows.join(F.broadcast(keys.toDF(*names)), list(names), how)


def _write_files(change: Rewrite, touched: Sequence[str]) -> list[AddAction]:
    """Write the touched files without the rows that go and with those that come."""
    kept = read_files(change.rows.sparkSession, change.path, touched, change.rows.schema)
    for names in change.on:
        kept = _matching(kept, change.keys, names, "left_anti")
    rows = kept.select(*change.rows.columns).unionByName(change.rows)
    staged = f"{change.path}/{STAGED}"
    rows.coalesce(max(1, len(touched))).write.mode("overwrite").parquet(staged)
    return list(_adopt(change, [name for name in storage.list_files(staged) if name.endswith(".parquet")]))


def _adopt(change: Rewrite, names: Sequence[str]) -> Iterator[AddAction]:
    """Move the staged files that have rows among the table's."""
    staged = [f"{change.path}/{STAGED}/{name}" for name in names]
    for source, size in zip(staged, storage.file_sizes(staged), strict=True):
        with storage.open_input(source) as file:
            rows = pq.read_metadata(file).num_rows
        if rows:
            target = f"{_prefix(change)}{uuid4()}.snappy.parquet"
            storage.move_file(source, f"{change.path}/{target}")
            yield AddAction(target, size, {}, _now(), True, json.dumps({"numRecords": rows}))


def _prefix(change: Rewrite) -> str:
    """How names of files begin that the commit of the next version adds."""
    return f"m5-{change.version + 1:020d}-"


def _clear_leftovers(change: Rewrite) -> None:
    """Delete what a run left that was killed before its commit: no version refers to it."""
    storage.delete_folder(f"{change.path}/{STAGED}")
    for name in storage.list_files(change.path):
        if name.startswith(_prefix(change)):
            storage.delete_file(f"{change.path}/{name}")
