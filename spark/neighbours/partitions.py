"""The rows of one batch or table by partition (the values of the partition columns)."""

from collections.abc import Iterator
from typing import TypeVar

import pyarrow as pa

Partition = tuple[str, ...]
Rows = TypeVar("Rows", pa.RecordBatch, pa.Table)


def split_partitions(rows: Rows, columns: tuple[str, ...]) -> Iterator[tuple[Partition, Rows]]:
    """Each partition with its rows, in their order."""
    positions: dict[Partition, list[int]] = {}
    for position, partition in enumerate(zip(*(rows[column].to_pylist() for column in columns), strict=True)):
        positions.setdefault(partition, []).append(position)
    return ((partition, rows.take(pa.array(found))) for partition, found in positions.items())


def partition_ddl(columns: tuple[str, ...]) -> str:
    """The partition columns as Spark declares them: all are text."""
    return ", ".join(f"`{column}` string" for column in columns)
