"""Builds all rows of a view of sums in tasks that read the vectors from their files: the vectors do not pass the JVM."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import SparkSession

from spark.delta.data_files import DataFile
from spark.delta.data_rows import FileWriter, WrittenFile, join_keys, read_rows, run_tasks

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


def write_scored(spark: SparkSession, files: Sequence[DataFile], make: RowMaker, scored: Scored) -> list[WrittenFile]:
    """A new file of the view for each file of vectors that holds some of the listings."""
    found = run_tasks(spark, files, lambda file, shared: _write_file(file, make, shared), scored)
    return [file for file in found if file]


def _write_file(file: DataFile, make: RowMaker, scored: Scored) -> WrittenFile | None:
    keys, writer = join_keys(scored.listings), FileWriter(scored.path, scored.prefix, scored.schema)
    for rows in read_rows(scored.vectors_path, file, VECTORS):
        in_space = rows.filter(pc.equal(rows["space_id"], scored.space_id))
        place = pc.index_in(join_keys(in_space), keys)
        described = scored.listings.take(place.drop_null())
        with_vectors = described.append_column("vector", in_space["vector"].filter(place.is_valid()))
        for batch in make(iter(with_vectors.combine_chunks().to_batches(ROWS_AT_ONCE))):
            made = pa.Table.from_batches([batch])
            made = made.append_column("space_id", pa.repeat(scored.space_id, len(made)))
            writer.add(made.select(scored.schema.names).cast(scored.schema))
    return writer.close()
