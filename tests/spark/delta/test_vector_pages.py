"""Vectors that are read by their pages are those that a reader of lists gives; what is stored otherwise is left to it."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from spark.delta.data_files import DataFile
from spark.delta.data_rows import read_rows
from spark.delta.vector_pages import read_vectors

ROWS, LENGTH = 700, 37
VECTORS = pa.list_(pa.float32())


def made_vectors() -> pa.ListArray:
    numbers = np.random.default_rng(3).normal(size=ROWS * LENGTH).astype(np.float32)
    return pa.ListArray.from_arrays(pa.array(np.arange(ROWS + 1, dtype=np.int32) * LENGTH), pa.array(numbers))


def read(folder: Path, column: pa.Array, **options: Any) -> list[pa.ListArray | None]:
    path = folder / "file.parquet"
    pq.write_table(pa.table({"item": pa.array(range(len(column))), "vector": column}), path, **options)
    with pa.OSFile(str(path)) as source:
        parquet = pq.ParquetFile(source)
        return [read_vectors(source, parquet, group, "vector") for group in range(parquet.num_row_groups)]


@pytest.mark.parametrize("compression", ["none", "snappy", "zstd", "gzip"])
@pytest.mark.parametrize("page", [1 << 20, 1_000])  # bytes: one page, and many that begin within a vector
def test_vectors_are_those_that_were_written(tmp_path: Path, compression: str, page: int) -> None:
    options = {"compression": compression, "data_page_size": page, "write_batch_size": 64, "row_group_size": 300}
    found = read(tmp_path, made_vectors(), use_dictionary=False, **options)
    assert len(found) == 3
    assert pa.chunked_array([part for part in found if part is not None]).combine_chunks() == made_vectors()


@pytest.mark.parametrize("lists", [[[1.0], [2.0, 3.0, 4.0]], [[1.0], None], [[1.0], [None]], [[], []], [[], [1.0, 2.0]], []])
def test_lists_that_are_no_vectors_of_one_length_are_left_to_the_reader_of_lists(tmp_path: Path, lists: list[Any]) -> None:
    assert not any(read(tmp_path, pa.array(lists, VECTORS), use_dictionary=False))


@pytest.mark.parametrize("options", [{"use_dictionary": True}, {"use_dictionary": False, "data_page_version": "2.0"}])
def test_pages_of_another_kind_are_left_to_the_reader_of_lists(tmp_path: Path, options: dict[str, Any]) -> None:
    assert read(tmp_path, made_vectors(), **options) == [None]


def test_numbers_of_another_type_are_left_to_the_reader_of_lists(tmp_path: Path) -> None:
    assert read(tmp_path, made_vectors().cast(pa.list_(pa.float64())), use_dictionary=False) == [None]


@pytest.mark.parametrize("use_dictionary", [True, False])
def test_rows_of_a_file_have_their_vectors_however_they_are_stored(tmp_path: Path, use_dictionary: bool) -> None:
    vectors = made_vectors()
    pq.write_table(pa.table({"vector": vectors}), tmp_path / "file.parquet", use_dictionary=use_dictionary)
    file = DataFile(path="file.parquet", partition={"bucket": "5"}, size=0, modified=0, stats={})
    schema = pa.schema([("vector", VECTORS), ("bucket", pa.int32())])
    rows = pa.concat_tables(read_rows(str(tmp_path), file, schema))
    assert rows["vector"].combine_chunks() == vectors
    assert rows["bucket"].to_pylist() == [5] * ROWS
