"""Reads the rows of Parquet files as records, by row groups. The account of such a file is over its rows.

A record is what the row would be in JSON. A value that JSON could only write as text (a date, bytes, a number that is infinite)
is written as ``[{"TYPE": "text"}]``, which no field accepts, so the record has a wrong type today and when it is replayed. But
attributes are texts, and ``updated_at`` is a time: what has one clear text becomes that there.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from m5model.feeds.blocks import ROWS, Block
from m5model.feeds.compression import MAGIC_BYTES, cannot_read, find_codec
from m5model.feeds.encoded_rows import EncodedRows
from m5model.feeds.field_columns import choose_columns, is_text
from m5model.feeds.records import encode_columns, is_known, name_columns
from m5model.files import storage
from schemas.errors import BadDataError

BATCH_ROWS = 2_000
TIME, ATTRIBUTES = "updated_at", "attributes"
Convert = Callable[[Any], Any]


def read_parquet_rows(path: str, groups: range | None = None) -> Iterator[Block]:
    """Returns the rows of some row groups, all where none are given. Raises BadDataError naming a damaged file."""
    with open_parquet(path) as file:
        wanted = list(range(file.num_row_groups) if groups is None else groups)
        sizes = [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]
        place = sum(sizes[: wanted[0]]) if wanted else 0
        columns = _find_columns(file.schema_arrow)
        leaves = [leaf for column in columns for leaf in column.leaves]
        for batch in file.reader.iter_batches(BATCH_ROWS, row_groups=wanted, column_indices=leaves, use_threads=False):
            records = EncodedRows(batch, lambda rows: _encode(rows, columns))
            fields = _choose_fields(batch, columns)
            yield Block(records=records, columns=fields, sizes=[1] * len(records), place=place, unit=ROWS)
            place += len(records)
        yield Block(total=sum(sizes[i] for i in wanted), unit=ROWS)


def encode_rows(batch: pa.RecordBatch) -> list[bytes]:
    """Returns rows of any table as records, as those of a file are."""
    columns = _find_columns(batch.schema)
    return _encode(batch.select([column.place for column in columns]), columns)


def count_rows(path: str) -> list[int]:
    """Returns rows of each row group."""
    with open_parquet(path) as file:
        return [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]


@contextmanager
def open_parquet(path: str) -> Iterator[pq.ParquetFile]:
    """Raises BadDataError naming a file that is damaged, at once or while it is read."""
    filesystem, inner = storage.open_filesystem(path)
    head = b""
    try:
        with filesystem.open_input_file(inner) as stored:
            head = bytes(stored.read_at(MAGIC_BYTES, 0))
            with pq.ParquetFile(stored) as file:
                yield file
    except (pa.ArrowException, OSError) as error:
        if codec := find_codec(head):
            advice = "decompress it: Parquet is read from any place of a file"
            raise BadDataError(f"{path} looks like a file compressed by {codec}", next_step=advice) from error
        raise cannot_read(path, error) from error


class _Column:
    """A column that is read."""

    def __init__(self, name: str, kind: pa.DataType, place: int, leaves: range) -> None:
        self.name, self.kind, self.place, self.leaves = name, kind, place, leaves

    def values(self, array: pa.Array) -> list[Any]:
        """Returns what JSON can say of each value."""
        if self.name == ATTRIBUTES and (pa.types.is_map(self.kind) or pa.types.is_struct(self.kind)):
            return _convert(array, self.kind, _read_attribute)
        if self.name == TIME and _is_time(self.kind):
            return _texts_of_times(array)
        return _convert(array, self.kind, _wrap)


def _find_columns(schema: pa.Schema) -> list[_Column]:
    """Returns all but bytes and nested columns that are no fields: they may be large, and no rule reads them."""
    columns, leaf = [], 0
    for place, (name, column) in enumerate(zip(name_columns(schema.names), schema, strict=True)):
        leaves = range(leaf, leaf + _count_leaves(column.type))
        leaf = leaves.stop
        if is_known(name) or not (pa.types.is_nested(column.type) or _is_bytes(column.type)):
            columns.append(_Column(name, column.type, place, leaves))
    return columns


def _encode(batch: pa.RecordBatch, columns: Sequence[_Column]) -> list[bytes]:
    names = [column.name for column in columns]
    values = [column.values(array) for column, array in zip(columns, batch.columns, strict=True)]
    if not values:
        return [b"{}"] * batch.num_rows
    return encode_columns(names, values)


def _choose_fields(batch: pa.RecordBatch, columns: Sequence[_Column]) -> pa.RecordBatch | None:
    """Returns the same rows as columns of fields, if JSON would say no more of them."""
    arrays = {column.name: array for column, array in zip(columns, batch.columns, strict=True)}

    def read_texts(name: str, array: pa.Array) -> pa.Array:
        array = array.dictionary_decode() if pa.types.is_dictionary(array.type) else array
        return pa.array(_texts_of_times(array), pa.string()) if name == TIME and _is_time(array.type) else array

    return choose_columns(arrays, read_texts)


def _convert(array: pa.Array, kind: pa.DataType, leaf: Callable[[Any, pa.DataType], Any]) -> list[Any]:
    if _is_plain(kind):
        return _read_plain(array)
    if pa.types.is_dictionary(kind):
        return _convert(array.dictionary_decode(), kind.value_type, leaf)
    if pa.types.is_nested(kind):
        return _convert_nested(array, kind, leaf)
    if _is_time(kind):
        return [None if text is None else leaf(text, kind) for text in _texts_of_times(array)]
    if pa.types.is_float16(kind) or pa.types.is_float32(kind):
        # As many digits as tell it from its neighbours, and no more.
        return [None if value is None else leaf(float(str(value)), kind) for value in _numpy_floats(array)]
    return [None if value is None else leaf(value, kind) for value in array.to_pylist()]


def _read_plain(array: pa.Array) -> list[Any]:
    """Bytes of texts that are no UTF-8 become halves of surrogate pairs (PEP 383), and bytes again in the record."""
    try:
        values: list[Any] = array.to_pylist()
    except UnicodeDecodeError:
        values = [
            None if value is None else value.decode(errors="surrogateescape") for value in array.cast(pa.binary()).to_pylist()
        ]
    return values


def _convert_nested(array: pa.Array, kind: pa.DataType, leaf: Callable[[Any, pa.DataType], Any]) -> list[Any]:
    if pa.types.is_struct(kind):
        parts = [_convert(array.field(i), kind.field(i).type, leaf) for i in range(kind.num_fields)]
        names = name_columns([kind.field(i).name for i in range(kind.num_fields)])
        rows = zip(*parts, strict=True) if parts else iter([()] * len(array))
        structs = [{n: v for n, v in zip(names, row, strict=True) if v is not None} for row in rows]
        return [struct if valid else None for struct, valid in zip(structs, array.is_valid().to_pylist(), strict=True)]
    if pa.types.is_map(kind):
        keys = _convert(array.keys, kind.key_type, _wrap)
        values = _convert(array.items, kind.item_type, leaf)
        if not is_text(kind.key_type):
            return [None if value is None else [{str(kind): str(value)}] for value in array.to_pylist()]
        return _cut(array, list(zip(keys, values, strict=True)), dict)
    return _cut(array, _convert(array.values, kind.value_type, leaf), list)


def _cut(array: pa.Array, items: list[Any], make: Callable[[Any], Any]) -> list[Any]:
    """Items of all lists or maps, those of each in one."""
    if pa.types.is_fixed_size_list(array.type):
        size = array.type.list_size
        starts = [(array.offset + i) * size for i in range(len(array) + 1)]
    else:
        starts = array.offsets.to_pylist()
    valid = array.is_valid().to_pylist()
    return [
        make(items[start:end]) if is_valid else None for start, end, is_valid in zip(starts, starts[1:], valid, strict=False)
    ]


def _wrap(value: Any, kind: pa.DataType) -> Any:
    """Leaves what JSON can tell from text; the rest becomes what no field accepts."""
    if isinstance(value, float) and math.isfinite(value):
        return value
    if isinstance(value, bool | int | str | Decimal) and not _is_time(kind):
        return value
    return [{str(kind): str(value) if isinstance(value, float) else value}]


def _read_attribute(value: Any, kind: pa.DataType) -> Any:
    """Returns the text of what has one clear text; of numbers and booleans, JSON's is clear."""
    return value if _is_time(kind) else _wrap(value, kind)


def _texts_of_times(array: pa.Array) -> list[str | None]:
    """ISO 8601; instants in UTC."""
    kind = array.type
    if pa.types.is_timestamp(kind) and kind.tz is not None:
        array = array.cast(pa.timestamp(kind.unit, "UTC"))
    texts = array.cast(pa.string()).to_pylist()
    return [text if text is None or "." not in text else _trim_fraction(text) for text in texts]


def _trim_fraction(text: str) -> str:
    whole, _, fraction = text.partition(".")
    zone = "Z" if fraction.endswith("Z") else ""
    digits = fraction.removesuffix("Z").rstrip("0")
    return f"{whole}{'.' if digits else ''}{digits}{zone}"


def _numpy_floats(array: pa.Array) -> list[Any]:
    numbers = array.to_numpy(zero_copy_only=False)
    return [number if valid else None for number, valid in zip(numbers, array.is_valid().to_pylist(), strict=True)]


def _is_time(kind: pa.DataType) -> bool:
    return bool(pa.types.is_timestamp(kind) or pa.types.is_date(kind) or pa.types.is_time(kind))


def _is_bytes(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_binary(kind)
        or pa.types.is_large_binary(kind)
        or pa.types.is_fixed_size_binary(kind)
        or pa.types.is_binary_view(kind)
    )


def _is_plain(kind: pa.DataType) -> bool:
    """JSON has it."""
    return is_text(kind) or bool(pa.types.is_boolean(kind) or pa.types.is_integer(kind) or pa.types.is_decimal(kind))


def _count_leaves(kind: pa.DataType) -> int:
    if pa.types.is_map(kind):
        return _count_leaves(kind.key_type) + _count_leaves(kind.item_type)
    if pa.types.is_struct(kind):
        return sum(_count_leaves(kind.field(i).type) for i in range(kind.num_fields))
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return _count_leaves(kind.value_type)
    return 1
