"""Reads a Parquet column of vectors as its pages hold it, in a third of the time that a reader of lists takes.

Parquet stores a column of lists as its numbers, and beside each number two levels: whether a list begins there, and what is
null (Melnik et al., "Dremel", 2010). Readers of lists take every level apart. Where all lists are of one length and nothing is
null, as vectors are, it is enough to check that the levels say so: the numbers lie one after the other.

Pages and their headers: the Apache Parquet format (Thrift, compact protocol). Columns that are stored otherwise are left to
the reader of lists. Shape suffixes: V levels or values of a page.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

Levels = NDArray[np.uint8]
Numbers = NDArray[np.float32]
CODECS = {"SNAPPY": "snappy", "ZSTD": "zstd", "GZIP": "gzip", "BROTLI": "brotli"}
PLAIN, RLE, DATA_PAGE = 0, 3, 0  # as the format numbers encodings and kinds of pages
STORED = {"PLAIN", "RLE"}
# Of the Thrift compact protocol.
TRUE, FALSE, BYTE, SHORT, LONG, DOUBLE, BINARY, STRUCT = 1, 2, 3, 4, 6, 7, 8, 12
LENGTH_BYTES = 4  # before the levels of a page


class _OtherLayout(Exception):
    """The column is not stored as vectors of one length."""


@dataclass(frozen=True, kw_only=True)
class _Page:
    levels_V: tuple[Levels, ...]  # where lists begin (0); then what is null (less than the greatest)
    values_V: Numbers


def is_vector(kind: pa.DataType) -> bool:
    return pa.types.is_list(kind) and pa.types.is_float32(kind.value_type)


def read_vectors(source: pa.NativeFile, parquet: pq.ParquetFile, group: int, name: str) -> pa.ListArray | None:
    """The column of a row group of ``source``; None where it is not stored as vectors of one length, in pages of version 1."""
    column = _find_column(parquet, group, name)
    if column is None:
        return None
    rows, (chunk, greatest) = parquet.metadata.row_group(group).num_rows, column
    length = chunk.num_values // rows if rows else 0
    try:
        pages = list(_read_pages(source, chunk, greatest))
        if length == 0 or length * rows != chunk.num_values or not _are_of_one_length(pages, length, greatest):
            return None
    except (_OtherLayout, IndexError):  # an index beyond the end: a damaged page, whose error the reader of lists knows
        return None
    numbers = np.concatenate([page.values_V for page in pages])
    offsets = np.arange(rows + 1, dtype=np.int32) * np.int32(length)
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(numbers))


def _find_column(parquet: pq.ParquetFile, group: int, name: str) -> tuple[pq.ColumnChunkMetaData, int] | None:
    """The chunk of the column's only leaf, and its greatest definition level."""
    chunks = parquet.metadata.row_group(group)
    found = [place for place in range(chunks.num_columns) if chunks.column(place).path_in_schema.split(".")[0] == name]
    if len(found) != 1:
        return None
    chunk, leaf = chunks.column(found[0]), parquet.schema.column(found[0])
    is_plain = set(chunk.encodings) <= STORED and not chunk.has_dictionary_page
    is_known = chunk.compression == "UNCOMPRESSED" or chunk.compression in CODECS
    if not is_plain or not is_known or leaf.max_repetition_level != 1 or chunk.physical_type != "FLOAT":
        return None
    return chunk, leaf.max_definition_level


def _read_pages(source: pa.NativeFile, chunk: pq.ColumnChunkMetaData, greatest: int) -> Iterator[_Page]:
    source.seek(chunk.data_page_offset)
    data = memoryview(source.read(chunk.total_compressed_size))
    codec = None if chunk.compression == "UNCOMPRESSED" else pa.Codec(CODECS[chunk.compression])
    at, seen = 0, 0
    while seen < chunk.num_values:
        header, at = _read_struct(data, at)
        page = header.get(5, {})
        if header.get(1) != DATA_PAGE or [page.get(number) for number in (2, 3, 4)] != [PLAIN, RLE, RLE]:
            raise _OtherLayout
        body = data[at : at + header[3]]
        at += header[3]
        yield _take_apart(memoryview(codec.decompress(body, header[2])) if codec else body, page[1], greatest)
        seen += page[1]


def _take_apart(body: memoryview, values: int, greatest: int) -> _Page:
    levels = []
    for most in (1, greatest):
        size = int.from_bytes(body[:LENGTH_BYTES], "little")
        levels.append(_decode_levels(bytes(body[LENGTH_BYTES : LENGTH_BYTES + size]), most.bit_length(), values))
        body = body[LENGTH_BYTES + size :]
    numbers = np.frombuffer(body, "<f4")
    if len(numbers) != values:
        raise _OtherLayout
    return _Page(levels_V=tuple(levels), values_V=numbers)


def _are_of_one_length(pages: list[_Page], length: int, greatest: int) -> bool:
    """Says whether a list begins at every multiple of ``length``, and nowhere else, and nothing is null."""
    before = 0
    for page in pages:
        begins, defined = page.levels_V
        places = np.flatnonzero(begins == 0)
        first = -before % length
        expected = np.arange(first, len(begins), length)
        if not np.array_equal(places, expected) or (defined != greatest).any():
            return False
        before += len(begins)
    return True


@lru_cache(maxsize=256)
def _decode_levels(data: bytes, width: int, count: int) -> Levels:
    """Levels of ``width`` bits: runs of one value, and groups of eight packed ones. Pages of a column often have the same."""
    runs, at, seen = [], 0, 0
    while seen < count:
        header, at = _read_number(data, at)
        if header & 1:
            packed = np.frombuffer(data, np.uint8, (header >> 1) * width, at)
            bits = np.unpackbits(packed, bitorder="little").reshape(-1, width)
            run = (bits << np.arange(width, dtype=np.uint8)).sum(axis=1, dtype=np.uint8)
            at += len(packed)
        else:
            run = np.full(header >> 1, data[at], np.uint8)
            at += 1
        runs.append(run)
        seen += len(run)
    return np.concatenate(runs)[:count] if runs else np.zeros(0, np.uint8)


def _read_struct(data: memoryview, at: int) -> tuple[dict[int, Any], int]:
    """A structure of the compact protocol, by the numbers of its fields; and where it ends."""
    fields: dict[int, Any] = {}
    number = 0
    while data[at]:
        kind, delta = data[at] & 15, data[at] >> 4
        at += 1
        if delta:
            number += delta
        else:
            number, at = _read_signed(data, at)
        fields[number], at = _read_value(data, at, kind)
    return fields, at + 1


def _read_value(data: memoryview, at: int, kind: int) -> tuple[Any, int]:
    if kind in (TRUE, FALSE):
        return kind == TRUE, at
    if SHORT <= kind <= LONG:
        return _read_signed(data, at)
    if kind == BINARY:
        size, at = _read_number(data, at)
        return bytes(data[at : at + size]), at + size
    if kind == STRUCT:
        return _read_struct(data, at)
    sizes = {BYTE: 1, DOUBLE: 8}
    if kind not in sizes:
        raise _OtherLayout
    return None, at + sizes[kind]


def _read_signed(data: memoryview, at: int) -> tuple[int, int]:
    number, at = _read_number(data, at)
    return (number >> 1) ^ -(number & 1), at


def _read_number(data: "memoryview | bytes", at: int) -> tuple[int, int]:
    """A number in groups of seven bits, the lowest first."""
    number = shift = 0
    while True:
        byte = data[at]
        number |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return number, at
