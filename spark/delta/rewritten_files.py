"""Writes data files anew without the rows of some keys: the body of a task."""

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from spark.delta.data_files import DataFile
from spark.delta.data_rows import FileWriter, WrittenFile, join_keys, key_schema, read_rows


@dataclass(frozen=True, kw_only=True)
class Pieces:
    """Holds what the tasks of one change have in common."""

    path: str  # of the table
    prefix: str  # of names of new files
    schema: pa.Schema  # of the table
    keys: pa.Array  # of the rows that go, see join_keys
    on: tuple[tuple[str, ...], ...]  # columns that make up a key; several: a row goes where one of the keys is among ``keys``


def rewrite_files(files: Sequence[DataFile], pieces: Pieces) -> tuple[bool, WrittenFile | None]:
    """Write one file in place of the others, without the rows that go; whether that was needed, and the file, if rows are left.

    A single file that holds none of these rows is left as it is.
    """
    if len(files) == 1 and not _holds_some(files[0], pieces):
        return False, None
    writer = FileWriter(pieces.path, pieces.prefix, pieces.schema)
    for file in files:
        for rows in read_rows(pieces.path, file, pieces.schema):
            writer.add(rows.filter(pc.invert(_goes(rows, pieces))))
    return True, writer.close()


def _holds_some(file: DataFile, pieces: Pieces) -> bool:
    names = list(dict.fromkeys(name for columns in pieces.on for name in columns))
    keys = key_schema(pieces.schema, names)
    return any(pc.any(_goes(rows, pieces)).as_py() for rows in read_rows(pieces.path, file, keys))


def _goes(rows: pa.Table, pieces: Pieces) -> pa.Array:
    goes = pc.is_in(join_keys(rows, pieces.on[0]), pieces.keys)
    for names in pieces.on[1:]:
        goes = pc.or_(goes, pc.is_in(join_keys(rows, names), pieces.keys))
    return goes
