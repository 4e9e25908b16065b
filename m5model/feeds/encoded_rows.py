"""Rows of a table as records that are encoded when one is asked for: most are good, and nobody reads their JSON."""

from collections.abc import Callable, Iterator, Sequence
from typing import overload

import pyarrow as pa

ROWS_AT_ONCE = 64  # one row alone costs nearly as much


class EncodedRows(Sequence[bytes]):
    """The records of ``batch``, as ``encode`` makes them of any of its rows."""

    def __init__(self, batch: pa.RecordBatch, encode: Callable[[pa.RecordBatch], list[bytes]]) -> None:
        self._batch, self._encode = batch, encode
        self._encoded: dict[int, list[bytes]] = {}

    def map(self, change: Callable[[bytes], bytes]) -> "EncodedRows":
        """The same rows, each record changed."""
        return EncodedRows(self._batch, lambda rows: list(map(change, self._encode(rows))))

    def __len__(self) -> int:
        return int(self._batch.num_rows)

    @overload
    def __getitem__(self, place: int) -> bytes: ...

    @overload
    def __getitem__(self, place: slice) -> "EncodedRows": ...

    def __getitem__(self, place: int | slice) -> "bytes | EncodedRows":
        if isinstance(place, slice):
            start, stop, _ = place.indices(len(self))
            return (
                self if (start, stop) == (0, len(self)) else EncodedRows(self._batch.slice(start, stop - start), self._encode)
            )
        number, at = divmod(range(len(self))[place], ROWS_AT_ONCE)
        if number not in self._encoded:
            self._encoded[number] = self._encode(self._batch.slice(number * ROWS_AT_ONCE, ROWS_AT_ONCE))
        return self._encoded[number][at]

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._encode(self._batch))
