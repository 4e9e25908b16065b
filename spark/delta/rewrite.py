"""Changes some rows of a table by writing anew the files that they lie in, and no others, in one commit.

Delta's MERGE does the same with a shuffle of all rows of those files, and cannot be held to a version: it changes whatever the
table is by then. Here the commit is made only where the table is still at the version that the change was worked out from.
"""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, PostCommitHookProperties
from deltalake.exceptions import CommitFailedError
from deltalake.transaction import AddAction, RemoveAction
from pyspark.sql import SparkSession

from m5model.files import storage
from m5model.files.delta import open_delta
from schemas.errors import ConfigurationError
from spark.delta.changed_files import list_data_files
from spark.delta.data_files import DataFile
from spark.delta.data_rows import WrittenFile, join_keys, run_tasks, write_rows
from spark.delta.rewritten_files import Pieces, rewrite_files

# Files below this size are written anew with others, so that small changes leave no trail of small files.
SMALL_FILE = 8 << 20  # bytes


@dataclass(frozen=True, kw_only=True)
class Rewrite:
    """What becomes of a table without partitions. One run at a time rewrites a table (see m5model.files.lease)."""

    path: str
    version: int  # of the table, that the change was worked out from
    keys: pa.Table  # rows with one of these keys go
    on: tuple[tuple[str, ...], ...]  # columns of the table that the columns of ``keys`` are compared with, in turn
    rows: pa.Table  # these come, with the columns of the table


def rewrite_rows(spark: SparkSession, change: Rewrite, metadata: str) -> int:
    """Commit the change with the user metadata; returns the files written anew.

    Raises ConfigurationError where another writer changed the table meanwhile; nothing is committed then.
    """
    table, prefix = open_delta(change.path, change.version), name_prefix(change.version + 1)
    clear_leftovers(change.path, change.version + 1)
    groups = group_files(list_data_files(table))
    keys = join_keys(change.keys, change.keys.column_names)
    pieces = Pieces(path=change.path, prefix=prefix, schema=change.rows.schema, keys=keys, on=change.on)
    outcomes = run_tasks(spark, groups, rewrite_files, pieces)
    done = [(group, written) for group, (is_rewritten, written) in zip(groups, outcomes, strict=True) if is_rewritten]
    new = write_rows(change.path, prefix, change.rows)
    added = [add_action(file) for file in (new, *(written for _, written in done)) if file]
    removed = [file.path for group, _ in done for file in group]
    commit_files(table, change.path, added, removed, metadata)
    return len(removed)


def group_files(files: Sequence[DataFile]) -> list[tuple[DataFile, ...]]:
    """Files that become one: small ones, as many as make no more than one small file."""
    groups: list[tuple[DataFile, ...]] = []
    for file in sorted(files, key=lambda file: (-file.size, file.path)):
        sizes = (sum(one.size for one in group) for group in groups)
        fitting = [place for place, size in enumerate(sizes) if size + file.size <= SMALL_FILE]
        if fitting:
            groups[fitting[0]] += (file,)
        else:
            groups.append((file,))
    return groups


def add_action(file: WrittenFile, partition: Mapping[str, str] | None = None) -> AddAction:
    """What a commit says of a new file."""
    return AddAction(file.path, file.size, dict(partition or {}), _now(), True, json.dumps({"numRecords": file.rows}))


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


def name_prefix(version: int) -> str:
    """How names of files begin that the commit of that version adds."""
    return f"m5-{version:020d}-"


def clear_leftovers(path: str, version: int) -> None:
    """Delete what a run left that was killed before it committed that version: no version refers to it."""
    for name in storage.list_files(path):
        if name.rpartition("/")[2].lstrip(".").startswith(name_prefix(version)):
            storage.delete_file(f"{path}/{name}")
