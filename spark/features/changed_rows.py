"""Reads the rows of changed listings at both sources, by tasks that look into every file once."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import SparkSession

from schemas.embedding import EMBEDDINGS
from schemas.listing import LISTINGS
from schemas.tables import Table
from spark.delta.changed_files import TwoVersions
from spark.delta.data_files import DataFile
from spark.delta.data_rows import KEY, join_keys, read_rows, run_tasks

OLDER, NEWER = "older", "newer"
SIDES = (OLDER, NEWER)


@dataclass(frozen=True, kw_only=True)
class SideSchemas:
    """The columns that are read of each table."""

    listings: pa.Schema
    embeddings: pa.Schema


@dataclass(frozen=True, kw_only=True)
class Look:
    """One file that may hold rows of changed listings."""

    table: str
    path: str
    file: DataFile
    sides: tuple[str, ...]  # versions of the table that have the file


def read_sides(
    spark: SparkSession, versions: Mapping[str, TwoVersions], schemas: SideSchemas, keys: pa.Table, space_id: str
) -> dict[str, pa.Table]:
    """By side: the rows with these keys that both tables have, as rows of a catalogue."""
    by_table = {LISTINGS.name: schemas.listings, EMBEDDINGS.name: schemas.embeddings}
    every = (look for one in by_table for look in _looks(one, versions[one])) if len(keys) else ()
    looks = sorted(every, key=lambda look: -look.file.size)
    found = run_tasks(spark, looks, _read_look, (by_table, join_keys(keys)))
    sides = {}
    for side in SIDES:
        rows = {
            table: pa.concat_tables(
                [
                    schema.empty_table(),
                    *(rows for look, rows in zip(looks, found, strict=True) if look.table == table and side in look.sides),
                ]
            )
            for table, schema in by_table.items()
        }
        embeddings = rows[EMBEDDINGS.name]
        in_space = embeddings.filter(pc.equal(embeddings["space_id"], space_id))
        sides[side] = _join(rows[LISTINGS.name], in_space)
    return sides


def read_catalogue(
    spark: SparkSession,
    files: Mapping[str, TwoVersions],
    columns: Sequence[str],
    keys: pa.Table,
    space_id: str,
    *,
    vectors: bool,
) -> pa.Table:
    """The rows of the newer catalogue with these keys; without their vectors, where those are not wanted."""
    newer = {name: replace(one, older=()) for name, one in files.items()}
    return read_sides(spark, newer, catalogue_schemas(columns, vectors=vectors), keys, space_id)[NEWER]


def catalogue_schemas(columns: Sequence[str], *, vectors: bool) -> SideSchemas:
    """Key, columns, space, bucket and, where they are wanted, vectors."""
    of_vectors = ["space_id", "bucket", *(["vector"] if vectors else [])]
    return SideSchemas(listings=table_schema(LISTINGS, columns), embeddings=table_schema(EMBEDDINGS, of_vectors))


def table_schema(table: Table, columns: Sequence[str]) -> pa.Schema:
    """The key and ``columns`` of a table, without what they mean."""
    wanted = {*KEY, *columns}
    return pa.schema([pa.field(field.name, field.type) for field in table.arrow_schema() if field.name in wanted])


def _looks(table: str, versions: TwoVersions) -> Iterator[Look]:
    common = {file.path for file in versions.older} & {file.path for file in versions.newer}
    for side, files in ((OLDER, versions.older), (NEWER, versions.newer)):
        for file in files:
            if file.path not in common:
                yield Look(table=table, path=versions.path, file=file, sides=(side,))
            elif side == NEWER:
                yield Look(table=table, path=versions.path, file=file, sides=SIDES)


def _read_look(look: Look, shared: tuple[Mapping[str, pa.Schema], pa.Array]) -> pa.Table:
    schemas, keys = shared
    schema = schemas[look.table]
    return pa.concat_tables([schema.empty_table(), *read_rows(look.path, look.file, schema, keys)])


def _join(listings: pa.Table, embeddings: pa.Table) -> pa.Table:
    """The listings that have a vector, each with it."""
    place = pc.index_in(join_keys(embeddings), join_keys(listings))
    there = embeddings.filter(place.is_valid())
    described = listings.take(place.drop_null())
    for name in there.column_names:
        if name not in KEY:
            described = described.append_column(name, there[name])
    return described
