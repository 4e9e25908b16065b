"""Reads and writes data files of Delta tables with pyarrow: the body of tasks, which need neither the JVM nor delta-rs for it.

Vectors pass through the JVM element by element; here they are read as they lie in the file.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import reduce
from typing import Any, TypeVar
from uuid import uuid4

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pyspark import RDD
from pyspark.sql import DataFrame, SparkSession

from m5model.files import storage
from spark.delta.data_files import DataFile
from spark.delta.vector_pages import is_vector, read_vectors

Input = TypeVar("Input")
Output = TypeVar("Output")
Shared = TypeVar("Shared")
KEY = ("locale", "item_id")
NO_ROW = -1
FEW = 32  # outcomes that the driver adds up itself
# To begin a task takes some 20 ms; more tasks than that only even out what they take.
TASKS_OF_A_CORE = 3
DRIVER_BYTES = 256 << 20  # of files that the driver reads some columns of
MOST_THREADS = 16


def run_tasks(
    spark: SparkSession, inputs: Sequence[Input], work: Callable[[Input, Shared], Output], shared: Shared
) -> list[Output]:
    """Returns what ``work`` makes of each input, in their order. ``shared`` reaches a worker once.

    Inputs are dealt out to a few tasks for each core: the first ones, which should be the largest, to different tasks.
    """
    if not inputs:
        return []
    count = min(len(inputs), TASKS_OF_A_CORE * spark.sparkContext.defaultParallelism)
    hands = [inputs[place::count] for place in range(count)]
    with _mapped(spark, hands, lambda hand, sent: [work(one, sent) for one in hand], shared) as outcomes:
        found = outcomes.collect()
    return [found[place % count][place // count] for place in range(len(inputs))]


def scan_files(
    spark: SparkSession, files: Sequence[DataFile], work: Callable[[DataFile, Shared], Output], shared: Shared
) -> list[Output]:
    """Returns what ``run_tasks`` does, for work that reads few columns: of small files it is done in the driver, at once.

    Tasks would have to wait for all those of other jobs that came before them.
    """
    if sum(file.size for file in files) > DRIVER_BYTES:
        return run_tasks(spark, files, work, shared)
    with ThreadPoolExecutor(min(MOST_THREADS, spark.sparkContext.defaultParallelism)) as pool:
        return list(pool.map(lambda file: work(file, shared), files))


def reduce_tasks(
    spark: SparkSession,
    inputs: Sequence[Input],
    work: Callable[[Input, Shared], Output],
    shared: Shared,
    plus: Callable[[Output, Output], Output],
) -> Output | None:
    """Returns the sum of what ``work`` makes of the inputs; None where there is none. Many are added up by tasks, too."""
    if len(inputs) <= FEW:
        found = run_tasks(spark, inputs, work, shared)
        return reduce(plus, found) if found else None
    with _mapped(spark, inputs, work, shared) as outcomes:
        return outcomes.treeReduce(plus)


@contextmanager
def _mapped(
    spark: SparkSession, inputs: Sequence[Input], work: Callable[[Input, Shared], Output], shared: Shared
) -> Iterator["RDD[Output]"]:
    """Gives the outcomes, not yet worked out, a task each; what was sent to the workers is let go of at the end."""
    context = spark.sparkContext
    sent = context.broadcast(shared)
    try:
        yield context.parallelize(inputs, len(inputs)).map(lambda one: work(one, sent.value))
    finally:
        sent.unpersist()


def to_frame(spark: SparkSession, rows: pa.Table) -> DataFrame:
    """The rows as a data frame. In one batch: Spark 4.2 loses all rows that come after two empty ones."""
    return spark.createDataFrame(rows.combine_chunks())


def read_rows(path: str, file: DataFile, schema: pa.Schema, keys: pa.Array | None = None) -> Iterator[pa.Table]:
    """The columns of ``schema``, row group by row group; a column that the file lacks is null.

    ``keys``, as ``join_keys`` gives them, are those of the rows that are wanted; the other columns of row groups that hold none
    are not read.
    """
    filesystem, inner = storage.open_filesystem(f"{path}/{file.path}")
    with filesystem.open_input_file(inner) as source:
        parquet = pq.ParquetFile(source)
        for group in range(parquet.num_row_groups):
            if keys is None:
                yield _read_group(source, parquet, group, file, schema)
                continue
            is_wanted = pc.is_in(join_keys(_read_group(source, parquet, group, file, key_schema(schema))), keys)
            if pc.any(is_wanted).as_py():
                yield _read_group(source, parquet, group, file, schema).filter(is_wanted)


def read_file(file: DataFile, of: tuple[str, pa.Schema]) -> pa.Table:
    """All rows of the file, for a table's path and the schema of some of its columns."""
    path, schema = of
    return pa.concat_tables([schema.empty_table(), *read_rows(path, file, schema)])


def _read_group(source: pa.NativeFile, parquet: pq.ParquetFile, group: int, file: DataFile, schema: pa.Schema) -> pa.Table:
    present = [name for name in schema.names if name in parquet.schema_arrow.names]
    wide = [name for name in present if is_vector(schema.field(name).type)]
    vectors = {name: column for name in wide if (column := read_vectors(source, parquet, group, name)) is not None}
    others = [name for name in present if name not in vectors]
    rows = parquet.read_row_group(group, columns=others, use_threads=False)
    columns: dict[str, pa.ChunkedArray | pa.Array] = {**vectors, **{name: rows[name] for name in others}}
    for name in set(schema.names) - columns.keys():
        columns[name] = pa.repeat(pa.scalar(file.partition.get(name)), parquet.metadata.row_group(group).num_rows)
    return pa.table([columns[field.name].cast(field.type) for field in schema], schema)


def key_schema(schema: pa.Schema, names: Sequence[str] = KEY) -> pa.Schema:
    return pa.schema([schema.field(name) for name in names])


def join_keys(rows: pa.Table | pa.RecordBatch, names: Sequence[str] = KEY) -> pa.Array:
    """One text for each row, of the columns that make up its key. No locale holds the sign between them."""
    joined = pc.binary_join_element_wise(*(rows[name] for name in names), "\n")
    return joined.combine_chunks() if isinstance(joined, pa.ChunkedArray) else joined


def find_places(keys: pa.Array, among: pa.Array) -> NDArray[np.int64]:
    """Finds where each key lies among the others, whose keys are distinct; NO_ROW where it does not."""
    place: NDArray[np.int64] = pc.fill_null(pc.index_in(keys, among), NO_ROW).to_numpy(zero_copy_only=False).astype(np.int64)
    return place


@dataclass(frozen=True, kw_only=True)
class WrittenFile:
    """A data file that no commit names yet."""

    path: str  # relative to the table
    size: int  # bytes
    rows: int


class FileWriter:
    """Writes one data file of a table, piece by piece; none where no row comes.

    ``prefix`` is what its name, relative to the table, begins with.
    """

    def __init__(self, path: str, prefix: str, schema: pa.Schema) -> None:
        self._path, self._name, self._schema = path, f"{prefix}{uuid4()}.parquet", schema
        self._stream: Any = None
        self._writer: pq.ParquetWriter | None = None
        self._rows = 0

    def add(self, rows: pa.Table) -> None:
        if not rows.num_rows:
            return
        if self._writer is None:
            self._stream = storage.open_output(f"{self._path}/{self._name}")
            self._writer = pq.ParquetWriter(self._stream.__enter__(), self._schema, **_options(self._schema))
        self._writer.write_table(rows)
        self._rows += rows.num_rows

    def close(self) -> WrittenFile | None:
        if self._writer is None:
            return None
        self._writer.close()
        self._stream.__exit__(None, None, None)
        size = storage.file_sizes([f"{self._path}/{self._name}"])[0]
        return WrittenFile(path=self._name, size=size, rows=self._rows)


def write_rows(path: str, prefix: str, rows: pa.Table) -> WrittenFile | None:
    """Write the rows as one data file."""
    writer = FileWriter(path, prefix, rows.schema)
    writer.add(rows)
    return writer.close()


def _options(schema: pa.Schema) -> dict[str, Any]:
    """Numbers of vectors hardly repeat: neither a dictionary nor compression makes them smaller."""
    plain = [field.name for field in schema if is_vector(field.type) or pa.types.is_binary(field.type)]
    leaves = pq.ParquetFile(_empty(schema)).schema
    paths = [leaves.column(number).path for number in range(len(leaves.names))]
    others = [path for path in paths if path.split(".")[0] not in plain]
    return {
        "use_dictionary": others,
        "compression": {path: "NONE" if path.split(".")[0] in plain else "SNAPPY" for path in paths},
        "write_statistics": others,
    }


def _empty(schema: pa.Schema) -> pa.BufferReader:
    sink = pa.BufferOutputStream()
    pq.write_table(schema.empty_table(), sink)
    return pa.BufferReader(sink.getvalue())
