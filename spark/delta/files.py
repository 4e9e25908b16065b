"""Finished data files become a Delta table, or move from one to another and are committed there: rows that are written once are
not written again.

Delta's log names files and says what is in them, so a file that has all columns of another table can be added to it as it is.
Further columns in it are no part of that table, and no reader sees them.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from urllib.parse import unquote

from deltalake import DeltaTable
from deltalake.transaction import AddAction, PostCommitHookProperties, RemoveAction

from m5model.files import storage
from m5model.files.delta import delta_options, delta_uri, open_delta
from schemas.tables import Table
from spark.delta.data_files import DataFile

# Moves wait for the storage, not for a core.
MOVES_AT_ONCE = 16


def found_table(path: str, table: Table, files: Sequence[DataFile]) -> None:
    """Make a table of files that lie below ``path`` already. A file may lack columns: they are null. There must be no table."""
    delta = DeltaTable.create(
        delta_uri(path),
        schema=table.arrow_schema(),
        partition_by=list(table.partition_by),
        storage_options=delta_options(path),
    )
    if files:
        _commit(delta, [_action(file) for file in files], table)


def adopt_files(source: str, target: str, table: Table, *, where: Mapping[str, str]) -> int:
    """Move the files of the table at ``source`` in partition ``where`` to the table at ``target``, in one commit.

    ``source`` must be one that only this run knows, written by appends alone; its files must have the columns of ``table``, and
    obey its rules. Killed on the way, files are left that no version refers to, which vacuuming removes. Returns the files
    moved.
    """
    files = [file for file in read_log(source) if where.items() <= file.partition.items()]
    names = set(table.column_names)
    adopted = [_as_part_of(file, table, names) for file in files]
    with ThreadPoolExecutor(MOVES_AT_ONCE) as pool:
        moves = [(f"{source}/{file.path}", f"{target}/{moved.path}") for file, moved in zip(files, adopted, strict=True)]
        list(pool.map(lambda move: storage.move_file(*move), moves))
    _commit(open_delta(target), [_action(file) for file in adopted], table)
    return len(files)


def read_log(path: str) -> Iterator[DataFile]:
    """The files that the table's commits added. For a young table without checkpoints, from which nothing was removed."""
    for name in storage.list_files(f"{path}/_delta_log"):
        if name.endswith(".json"):
            for line in storage.read_bytes(f"{path}/_delta_log/{name}").splitlines():
                add = json.loads(line).get("add")
                if add:
                    yield DataFile(
                        path=unquote(add["path"]),
                        partition=add["partitionValues"],
                        size=add["size"],
                        modified=add["modificationTime"],
                        stats=json.loads(add.get("stats") or "{}"),
                    )


def _commit(delta: DeltaTable, actions: list[AddAction | RemoveAction], table: Table) -> None:
    delta.create_write_transaction(
        actions,
        mode="append",
        schema=delta.schema(),
        partition_by=list(table.partition_by),
        post_commithook_properties=PostCommitHookProperties(create_checkpoint=False, cleanup_expired_logs=False),
    )


def _as_part_of(file: DataFile, table: Table, names: set[str]) -> DataFile:
    """The file beside the partition folders that it has in ``table``."""
    partition = {name: file.partition[name] for name in table.partition_by}
    folders = "".join(f"{name}={value}/" for name, value in partition.items())
    stats = {name: _only(value, names) for name, value in file.stats.items()}
    return replace(file, path=folders + file.path.rpartition("/")[2], partition=partition, stats=stats)


def _action(file: DataFile) -> AddAction:
    return AddAction(
        path=file.path,
        size=file.size,
        partition_values=dict(file.partition),
        modification_time=file.modified,
        data_change=True,
        stats=json.dumps(file.stats),
    )


def _only(stats: object, names: set[str]) -> object:
    return {name: value for name, value in stats.items() if name in names} if isinstance(stats, dict) else stats
