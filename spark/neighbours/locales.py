"""Splits a batch or a table by locale, because neighbours share one."""

from collections.abc import Iterator
from typing import TypeVar

import pyarrow as pa

Rows = TypeVar("Rows", pa.RecordBatch, pa.Table)


def split_by_locale(rows: Rows) -> Iterator[tuple[str, Rows]]:
    """Each locale with its rows, in their order."""
    positions: dict[str, list[int]] = {}
    for position, locale in enumerate(rows["locale"].to_pylist()):
        positions.setdefault(locale, []).append(position)
    return ((locale, rows.take(pa.array(found))) for locale, found in positions.items())
