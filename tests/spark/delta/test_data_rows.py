"""Data files that tasks read and write with pyarrow. No Spark, but for the frame at the end."""

from pathlib import Path

import pyarrow as pa
from pyspark.sql import SparkSession

from spark.delta.data_files import DataFile
from spark.delta.data_rows import WrittenFile, join_keys, read_rows, to_frame, write_rows
from spark.delta.rewrite import SMALL_FILE, group_files
from spark.delta.rewritten_files import Pieces, rewrite_files

SCHEMA = pa.schema(
    [("locale", pa.string()), ("item_id", pa.string()), ("other", pa.string()), ("vector", pa.list_(pa.float32()))]
)
ROWS = pa.Table.from_pylist(
    [{"locale": "DE", "item_id": item, "other": other, "vector": [1.0, 2.0]} for item, other in ("ab", "bc", "cd")], SCHEMA
)


def as_data_file(written: WrittenFile | None, **partition: str) -> DataFile:
    assert written is not None
    return DataFile(path=written.path, partition=partition, size=written.size, modified=0, stats={})


def test_a_column_comes_from_the_file_else_from_its_partition_else_is_null(tmp_path: Path) -> None:
    file = as_data_file(write_rows(str(tmp_path), "bucket=3/m5-", ROWS), bucket="3")
    wanted = pa.schema([*SCHEMA, ("bucket", pa.int32()), ("new", pa.string())])
    (rows,) = read_rows(str(tmp_path), file, wanted, join_keys(ROWS.slice(1, 1)))
    assert rows.to_pylist() == [ROWS.to_pylist()[1] | {"bucket": 3, "new": None}]


def test_rows_go_where_one_of_their_keys_goes_and_files_without_such_rows_stay(tmp_path: Path) -> None:
    file = as_data_file(write_rows(str(tmp_path), "m5-", ROWS))
    both = (("locale", "item_id"), ("locale", "other"))
    kept = []
    for key in ("c", "d", "e"):
        pieces = Pieces(path=str(tmp_path), prefix=key, schema=SCHEMA, keys=pa.array([f"DE\n{key}"]), on=both)
        is_rewritten, written = rewrite_files([file], pieces)
        rows = read_rows(str(tmp_path), as_data_file(written), SCHEMA) if is_rewritten else []
        kept.append([item for part in rows for item in part["item_id"].to_pylist()])
    assert kept == [["a"], ["a", "b"], []]


def test_small_files_are_written_anew_together_up_to_the_size_of_one() -> None:
    sizes = {"large": 5 * SMALL_FILE, "most": SMALL_FILE - 10, "some": 9, "few": 1, "over": 2}
    files = [DataFile(path=name, partition={}, size=size, modified=0, stats={}) for name, size in sizes.items()]
    assert [[file.path for file in group] for group in group_files(files)] == [["large"], ["most", "some", "few"], ["over"]]


def test_spark_gets_the_rows_that_come_after_empty_batches(spark: SparkSession) -> None:
    empty = SCHEMA.empty_table()
    assert to_frame(spark, pa.concat_tables([empty, empty, ROWS])).count() == len(ROWS)
