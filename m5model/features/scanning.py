"""Reads the rows of a view's data files, batch by batch, and says which files two versions do not share."""

from collections.abc import Collection, Iterator, Sequence

import pyarrow as pa
from deltalake import DeltaTable

BATCH_ROWS = 16_384


def scan_files(
    table: DeltaTable, files: Collection[str] | None = None, columns: Sequence[str] | None = None
) -> Iterator[pa.RecordBatch]:
    """The rows of those of the table's files (paths relative to it), of all of them otherwise; the columns, or all of them."""
    dataset = table.to_pyarrow_dataset()
    for fragment in dataset.get_fragments():
        if files is None or fragment.path in files:
            yield from fragment.to_batches(
                schema=dataset.schema, columns=None if columns is None else list(columns), batch_size=BATCH_ROWS
            )


def differing_files(before: DeltaTable, after: DeltaTable) -> tuple[set[str], set[str]]:
    """Files of ``before`` that ``after`` does not have, and the other way round: the rows of all others are the same."""
    old, new = file_names(before), file_names(after)
    return old - new, new - old


def count_rows(table: DeltaTable, files: Collection[str]) -> int:
    """Rows of those of the table's files."""
    return sum(fragment.count_rows() for fragment in table.to_pyarrow_dataset().get_fragments() if fragment.path in files)


def file_names(table: DeltaTable) -> set[str]:
    """Paths of the table's files, relative to it."""
    return {fragment.path for fragment in table.to_pyarrow_dataset().get_fragments()}
