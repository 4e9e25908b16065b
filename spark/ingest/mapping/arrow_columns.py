"""Columns that stay as Arrow has them, while some of their values are read and changed as those of a list are."""

from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa

from schemas.tables import TEXT_MAP


class ArrowColumn(Sequence[Any]):
    """Values of ``array``, maps as dicts, but for those that were ``changed``, by position."""

    def __init__(self, array: pa.Array) -> None:
        self.array = array
        self.changed: dict[int, Any] = {}

    def __len__(self) -> int:
        return len(self.array)

    def __getitem__(self, i: Any) -> Any:
        return self.changed[i] if i in self.changed else self._read(self.array[i].as_py())

    def __setitem__(self, i: int, value: Any) -> None:
        self.changed[i] = value

    def pick(self, rows: Sequence[int]) -> list[Any]:
        """The values at some positions, much faster than one by one."""
        values = map(self._read, self.array.take(pa.array(rows, pa.int64())).to_pylist())
        return [self.changed.get(i, value) for i, value in zip(rows, values, strict=True)]

    def __iter__(self) -> Iterator[Any]:
        values = map(self._read, self.array.to_pylist())
        return (self.changed.get(i, value) for i, value in enumerate(values))

    def _read(self, value: Any) -> Any:
        return dict(value) if value is not None and self.array.type == TEXT_MAP else value


Values = list[Any] | ArrowColumn  # one per record


def pick_values(values: Values, rows: Sequence[int]) -> list[Any]:
    """The values at some positions."""
    return values.pick(rows) if isinstance(values, ArrowColumn) else [values[i] for i in rows]
