"""Reads the rows of a CSV file, each with its place and its bytes. A plain file can be cut into splits.

A line that looks like a row (csv_profiles) begins one, whatever stands before it, if no cell that may be open there closes
rightly behind it. There a split can begin: its rows are those from the first such line that begins in it to the first that
begins behind it. What cannot be told so is read by one split.
"""

import csv
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, islice

import pyarrow as pa
import pyarrow.compute as pc

from m5model.feeds.blocks import BLANK, HEADER, SEPARATORS, Block
from m5model.feeds.compression import ByteStream
from m5model.feeds.csv_columns import parse_rows
from m5model.feeds.csv_dialects import Dialect
from m5model.feeds.csv_form import CsvForm, find_csv_form
from m5model.feeds.csv_lexer import Lexer, Row, fits, never_closes
from m5model.feeds.encoded_rows import EncodedRows
from m5model.feeds.field_columns import choose_columns
from m5model.feeds.opening import TextFile, open_at
from m5model.feeds.physical_lines import LineBlock, changed_size, read_range, split_lines
from m5model.feeds.records import encode_texts

CSV = "csv"
MARK = "\ufeff"


def read_csv_text(text: TextFile) -> Iterator[Block]:
    """All rows of an open file."""
    form = find_csv_form(text.head, text.path)
    if form is None:
        yield Block(other={BLANK: sum(text.measure(block) for block in text.blocks())})
        return
    factor = text.measure(b" ")
    header = text.measure(text.head[: form.body]) - factor * form.blank
    yield Block(other={HEADER: header, BLANK: factor * form.blank})
    reader = _Reader(form, text)
    yield from reader.read(split_lines(_skip(text.blocks(), form.body), text.path, form.dialect.line_end), form.body)


def read_csv_split(path: str, form: CsvForm, start: int, end: int, size: int) -> Iterator[Block]:
    """The rows of a split, ``start`` to ``end`` of a file of ``size`` bytes. That of the first split has the header, too."""
    reader = _Reader(form)
    if start == 0:
        yield Block(other=form.other)
    at = start - 1 if start else form.body  # the byte before the split may end a line
    with open_at(path, at) as stream:
        lines: Iterable[LineBlock] = split_lines(_read_on(stream, path, at, size), path, form.dialect.line_end)
        if start:
            lines, at = _find_row(lines, form, at, end)
        yield from reader.read(_until_row(lines, form, at, end) if end < size else lines, at)


def _skip(blocks: Iterable[bytes], size: int) -> Iterator[bytes]:
    for block in blocks:
        yield block[size:]
        size = max(0, size - len(block))


class _Lines:
    """Blocks of lines, and what comes behind them."""

    def __init__(self, blocks: Iterable[LineBlock], form: CsvForm) -> None:
        self._blocks, self._form = iter(blocks), form
        self._ahead: deque[LineBlock] = deque()

    def __iter__(self) -> Iterator[LineBlock]:
        while (block := self._ahead.popleft() if self._ahead else next(self._blocks, None)) is not None:
            yield block

    def begins_row(self, block: LineBlock, i: int) -> bool:
        """Does line ``i`` of the block that was given last begin a row, whatever stands before it? It looks like one, and no
        cell that may be open there closes rightly."""
        if not self._form.profile.is_row(block.lines[i]):
            return False
        behind = (line for later in self._look_ahead() for line in later.lines)
        return never_closes(self._form.dialect, chain(islice(block.lines, i, None), behind))

    def _look_ahead(self) -> Iterator[LineBlock]:
        yield from tuple(self._ahead)
        for block in self._blocks:
            self._ahead.append(block)
            yield block


def _find_row(blocks: Iterable[LineBlock], form: CsvForm, at: int, end: int) -> tuple[Iterable[LineBlock], int]:
    """The lines from the first whole one on that begins a row, and its place. None where none begins before ``end``."""
    is_begun = False
    lines = _Lines(blocks, form)
    for block in lines:
        for i, line in enumerate(block.lines):
            if is_begun and at < end and lines.begins_row(block, i):
                return chain([LineBlock(block.lines[i:], block.is_cut)], lines), at
            if at >= end:
                return (), at
            is_begun = True
            at += len(line) + 1
    return (), at


def _until_row(blocks: Iterable[LineBlock], form: CsvForm, at: int, end: int) -> Iterator[LineBlock]:
    """The lines before the first that begins at ``end`` or behind it and begins a row."""
    lines = _Lines(blocks, form)
    for block in lines:
        before, at = at, at + block.size
        if at <= end:
            yield block
            continue
        for kept, line in enumerate(block.lines):
            if before >= end and lines.begins_row(block, kept):
                yield LineBlock(block.lines[:kept])
                return
            before += len(line) + 1
        yield block


class _Reader:
    """Blocks of lines become blocks of records."""

    def __init__(self, form: CsvForm, text: TextFile | None = None) -> None:
        self._form, self._columns = form, len(form.names)
        self._measure: Callable[[bytes], int] = len if text is None or text.encoding == "utf-8" else text.measure
        self._restore: Callable[[bytes], bytes] = bytes if text is None else text.restore
        self._lexer = Lexer(form.profile, self._columns)

    def read(self, blocks: Iterable[LineBlock], place: int) -> Iterator[Block]:
        """``place`` is that of the first line. The last row may have no line end."""
        is_cut = False
        for lines in blocks:
            is_cut = lines.is_cut
            begun = place - self._lexer.open_bytes  # rows that are given now may begin in blocks before
            yield self._read_quickly(lines, place) or self._make_block(self._lexer.take(lines.lines), begun)
            place += lines.size
        if self._lexer.is_open:
            begun = place + is_cut - self._lexer.open_bytes  # which count an end for the last line, too
            yield self._make_block(self._lexer.finish(), begun)
        if is_cut:
            yield Block(other={SEPARATORS: -self._measure(b"\n")})

    def _read_quickly(self, block: LineBlock, place: int) -> Block | None:
        """The block, where each line is a row of sound UTF-8 with a cell for each column."""
        if self._lexer.is_open:
            return None
        lines = [line for line in block.lines if line.strip(b" \r")]
        columns = self._read_columns(lines)
        if columns is None:
            rows = self._read_rows(lines)
            if rows is None or not self._are_records(rows, len(lines)):
                return None
            columns = self._as_columns(rows)
        blank = (
            0 if len(lines) == len(block.lines) else sum(self._measure(line) for line in block.lines if not line.strip(b" \r"))
        )
        return Block(
            records=EncodedRows(columns, _encode_columns),
            columns=_choose_fields(columns),
            sizes=list(map(self._measure, lines)),
            place=place,
            other={SEPARATORS: len(block.lines) * self._measure(b"\n"), BLANK: blank},
        )

    def _are_records(self, rows: list[list[str]], lines: int) -> bool:
        """Is each line a row, with a cell for each column, and none the header?"""
        return len(rows) == lines and {self._columns}.issuperset(map(len, rows)) and not any(map(self._is_header, rows))

    def _read_columns(self, lines: list[bytes]) -> pa.RecordBatch | None:
        """The same lines as columns; None where it takes a closer look at them."""
        columns = parse_rows([line.removesuffix(b"\r") for line in lines], self._dialect, self._form.names)
        if columns is None:
            return None
        first = pc.utf8_ltrim(pc.fill_null(columns.column(0), ""), characters=MARK)
        return None if pc.any(pc.equal(first, self._form.header[0])).as_py() else columns

    def _as_columns(self, rows: Sequence[Sequence[str]]) -> pa.RecordBatch:
        """Cells as texts; null where empty."""
        columns = zip(*rows, strict=True) if rows else ((),) * self._columns
        texts = [pa.array([cell or None for cell in column], pa.string()) for column in columns]
        return pa.RecordBatch.from_arrays(texts, names=list(self._form.names))

    def _read_rows(self, lines: list[bytes]) -> list[list[str]] | None:
        """Cells as Python's own parser finds them; None where it would not read as csv_dialects does."""
        joined = b"\n".join(lines)
        if b"\r" in joined:
            joined = b"\n".join([line.removesuffix(b"\r") for line in lines])
            if b"\r" in joined:  # one that is no part of a line end; that parser takes it for one
                return None
        try:
            return self._dialect.read_rows(joined.decode().split("\n")) if lines else []
        except (UnicodeDecodeError, csv.Error):
            return None

    def _make_block(self, found: Sequence[Row], place: int) -> Block:
        filled = [row for row in found if row.text.strip(b" \r")]
        read = list(zip(filled, self._read_cells(filled), strict=True))
        headers = [row for row, cells in read if self._is_header(cells)]
        records = [(row, cells) for row, cells in read if not self._is_header(cells)]
        rows, cells = [row for row, _ in records], [cells for _, cells in records]
        damage = {i: reason for i, row in enumerate(rows) if (reason := self._find_damage(row, cells[i]))}
        good = [self._trim(row) for i, row in enumerate(cells) if i not in damage and row is not None]
        columns = self._as_columns(good)
        each: Sequence[bytes] = EncodedRows(columns, _encode_columns)
        if damage:
            encoded = iter(each)
            each = [self._restore(row.text) if i in damage else next(encoded) for i, row in enumerate(rows)]
        return Block(
            records=each,
            columns=None if damage else _choose_fields(columns),
            sizes=[self._measure(row.text) for row in rows],
            place=place,
            damage=damage,
            lines={i: rows[i].lines for i in damage if rows[i].lines > 1},
            raw_form=CSV,
            other={
                SEPARATORS: len(found) * self._measure(b"\n"),
                HEADER: sum(self._measure(row.text) for row in headers),
                BLANK: sum(self._measure(row.text) for row in found if not row.text.strip(b" \r")),
            },
        )

    def _read_cells(self, rows: Sequence[Row]) -> list[list[str] | None]:
        """The cells of each row; None of one that is damaged, or no UTF-8."""
        quoted = [row.text.removesuffix(b"\r") for row in rows if not row.damage and not row.is_literal]
        cells = iter(self._read_quoted(quoted) or map(self._dialect.read_cells, quoted))
        return [None if row.damage else self._read_literally(row) if row.is_literal else next(cells) for row in rows]

    def _read_quoted(self, rows: list[bytes]) -> list[list[str]] | None:
        """Cells as Python's own parser finds them; None where it would not read as csv_dialects does."""
        if any(text.endswith(b"\r") for text in rows):  # it takes several CR for one line end
            return None
        try:
            found = self._dialect.read_rows(list(map(bytes.decode, rows)))
        except (UnicodeDecodeError, csv.Error):
            return None
        return found if len(found) == len(rows) else None

    def _read_literally(self, row: Row) -> list[str] | None:
        try:
            return row.text.removesuffix(b"\r").decode().split(self._dialect.delimiter.decode())
        except UnicodeDecodeError:
            return None

    def _is_header(self, cells: Sequence[str] | None) -> bool:
        """Is a row the header once more, as where files were put one behind the other?"""
        header = self._form.header
        return bool(cells) and cells is not None and cells[0].lstrip(MARK) == header[0] and tuple(cells[1:]) == header[1:]

    def _find_damage(self, row: Row, cells: list[str] | None) -> str | None:
        if row.damage:
            return row.damage
        if cells is None:
            return "invalid_utf8"
        return None if fits(cells, self._columns) else "invalid_record"

    def _trim(self, cells: list[str]) -> list[str]:
        return cells[: self._columns]

    @property
    def _dialect(self) -> Dialect:
        return self._form.dialect


def _choose_fields(columns: pa.RecordBatch) -> pa.RecordBatch | None:
    return choose_columns(dict(zip(columns.schema.names, columns.columns, strict=True)))


def _encode_columns(columns: pa.RecordBatch) -> list[bytes]:
    return encode_texts(columns.schema.names, [column.to_pylist() for column in columns.columns])


def _read_on(stream: ByteStream, path: str, at: int, size: int) -> Iterator[bytes]:
    """All bytes of a file of ``size`` bytes from ``at`` on. Raises BadDataError where it has others meanwhile."""
    block = b""
    for block in read_range(stream, path, at, size):
        yield block
    if not block.endswith((b"\n", b"\r")) and stream.read(1):
        raise changed_size(path, size, size + 1)
