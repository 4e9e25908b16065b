"""Reads a few columns of a table's data files, batch by batch."""

from collections.abc import Iterator, Sequence
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.parquet as pq

from m5model.files import storage

BATCH_ROWS = 16_384


def read_batches(
    table: str, file: str, columns: Sequence[str], *, row_groups: Sequence[int] | None = None
) -> Iterator[pa.RecordBatch]:
    """``columns`` of the data file ``file`` (as its log names it) of the table at ``table``; columns it lacks are left out."""
    filesystem, inner = storage.open_filesystem(f"{table}/{unquote(file)}")
    with filesystem.open_input_file(inner) as stream:
        parquet = pq.ParquetFile(stream)
        known = [name for name in columns if name in parquet.schema_arrow.names]
        groups = list(range(parquet.num_row_groups)) if row_groups is None else list(row_groups)[: parquet.num_row_groups]
        yield from parquet.iter_batches(BATCH_ROWS, row_groups=groups, columns=known)
