"""Builds all rows of a view of sums in tasks that read the vectors from their files: the vectors do not pass the JVM."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyspark.sql import SparkSession

from schemas.listing import LISTINGS
from spark.delta.changed_files import TwoVersions
from spark.delta.data_files import DataFile
from spark.delta.data_rows import KEY, FileWriter, WrittenFile, join_keys, read_file, read_rows, run_tasks, scan_files
from spark.features.changed_rows import table_schema
from spark.features.recipe import KeptSums, ViewRecipe
from spark.features.small_frames import small_frames

RowMaker = Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]
ROWS_AT_ONCE = 8_192
VECTORS = pa.schema(
    [("locale", pa.string()), ("item_id", pa.string()), ("space_id", pa.string()), ("vector", pa.list_(pa.float32()))]
)


@dataclass(frozen=True, kw_only=True)
class Scored:
    """Says what rows are made from, and where they are written."""

    vectors_path: str
    space_id: str
    listings: pa.Table  # locale, item_id, and what rows follow from beside the vector
    path: str  # of the view
    prefix: str  # of names of new files
    schema: pa.Schema  # of the view


def describe_listings(spark: SparkSession, listings: TwoVersions, recipe: ViewRecipe[Any], sums: KeptSums) -> pa.Table:
    """What ``sums.describe`` makes of all listings. It is asked once for those that are alike in all that it reads."""
    named = table_schema(LISTINGS, recipe.reads)
    found = scan_files(spark, listings.newer, read_file, (listings.path, named))
    rows = pa.concat_tables([named.empty_table(), *found])
    first, alike_N = _find_alike(rows.drop_columns(["item_id"]))
    some = rows.take(pa.array(first)).set_column(1, "item_id", pa.array(map(str, range(len(first))), pa.string()))
    described = sums.describe(small_frames(spark, len(some)).of(some)).toArrow()
    described = described.take(pc.index_in(some["item_id"], described["item_id"])).take(pa.array(alike_N))
    for name in KEY:
        described = described.set_column(described.column_names.index(name), name, rows[name])
    return described


def _find_alike(rows: pa.Table) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The first of all rows that are equal; and for each row, which of these it is like."""
    alike_N = np.zeros(len(rows), np.int64)
    for column in rows.columns:
        encoded = pc.dictionary_encode(column.combine_chunks(), null_encoding="encode")
        alike_N = alike_N * len(encoded.dictionary) + encoded.indices.to_numpy()
        _, alike_N = np.unique(alike_N, return_inverse=True)
    _, first = np.unique(alike_N, return_index=True)
    return first, alike_N


def write_scored(spark: SparkSession, files: Sequence[DataFile], make: RowMaker, scored: Scored) -> list[WrittenFile]:
    """A new file of the view for each file of vectors that holds some of the listings."""
    found = run_tasks(spark, files, lambda file, shared: _write_file(file, make, shared), scored)
    return [file for file in found if file]


def _write_file(file: DataFile, make: RowMaker, scored: Scored) -> WrittenFile | None:
    keys, writer = join_keys(scored.listings), FileWriter(scored.path, scored.prefix, scored.schema)
    for rows in read_rows(scored.vectors_path, file, VECTORS):
        place = pc.index_in(join_keys(rows), keys)
        is_listing = pc.and_(pc.equal(rows["space_id"].combine_chunks(), scored.space_id), place.is_valid())
        if not pc.all(is_listing).as_py():  # to pick vectors copies them
            rows, place = rows.filter(is_listing), place.filter(is_listing)
        with_vectors = scored.listings.take(place).append_column("vector", rows["vector"])
        batches = list(make(iter(with_vectors.combine_chunks().to_batches(ROWS_AT_ONCE))))
        if batches:  # written together, because each writing makes a row group
            made = pa.Table.from_batches(batches)
            made = made.append_column("space_id", pa.repeat(scored.space_id, len(made)))
            writer.add(made.select(scored.schema.names).cast(scored.schema))
    return writer.close()
