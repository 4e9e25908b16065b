"""Knows how a CSV file is written: its delimiter, quote and line ends, found in its first bytes; and the grammar of its cells.

RFC 4180: a cell that begins with a quote ends at the next quote that is not doubled, and may hold delimiters and line ends
until then. Anywhere else a quote is a character as any other, as real feeds have it (``12" plate``).

Where a file escapes quotes by backslashes (``"a 12\\" plate"``, as Spark and MySQL write them), a cell ends at the next quote
without one, and a backslash escapes itself and quotes; before other characters it is one.
"""

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

MAX_CELL_BYTES = 1 << 30  # longer than any line


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """Each is one byte."""

    delimiter: bytes = b","
    quote: bytes = b'"'
    line_end: bytes = b"\n"  # or CR, of old Macs; a CR before LF belongs to the line's end
    has_escapes: bool = False  # quotes in quoted cells stand behind backslashes

    @cached_property
    def whole_row(self) -> re.Pattern[bytes]:
        """Matches lines in which every quoted cell is closed."""
        return re.compile(rf"{self._cell}(?:{self._delimiter}{self._cell})*+".encode("latin-1"))

    @cached_property
    def whole_line(self) -> str:
        """The same for RE2, of lines without line ends and dialects without escapes."""
        quoted = f"{self._quote}(?:[^{self._quote}]|{self._quote}{self._quote})*{self._quote}"
        cell = f"(?:{quoted}|(?:[^{self._quote}{self._delimiter}][^{self._delimiter}]*)?)"
        return rf"\A{cell}(?:{self._delimiter}{cell})*\z"

    @cached_property
    def first_cells(self) -> re.Pattern[bytes]:
        """Matches the cells of a line up to the first that is open or broken, a delimiter behind each."""
        return re.compile(rf"(?:{self._cell}{self._delimiter})*+".encode("latin-1"))

    @cached_property
    def each_cell(self) -> re.Pattern[bytes]:
        """Finds what is within the quotes of a cell, or else the cell, behind each delimiter."""
        cell = rf"{self._quote}({self._inside}){self._quote}|((?!{self._quote})[^{self._delimiter}]*+)"
        return re.compile(rf"{self._delimiter}(?:{cell})".encode("latin-1"))

    @cached_property
    def open_row(self) -> re.Pattern[bytes]:
        """Matches lines that end within a quoted cell."""
        cells = rf"(?:{self._cell}{self._delimiter})*+"
        return re.compile(rf"{cells}{self._quote}{self._inside}".encode("latin-1"))

    @cached_property
    def inner_line(self) -> re.Pattern[bytes]:
        """Matches lines that begin and end within the same quoted cell."""
        return re.compile(self._inside.encode("latin-1"))

    @cached_property
    def last_line(self) -> re.Pattern[bytes]:
        """Matches lines that begin within a quoted cell and end the row."""
        return re.compile(rf"{self._inside}{self._quote}(?:{self._delimiter}{self._cell})*+".encode("latin-1"))

    @cached_property
    def reopening_line(self) -> re.Pattern[bytes]:
        """Matches lines that begin within a quoted cell and end within another."""
        cells = rf"(?:{self._delimiter}{self._cell})*+{self._delimiter}"
        return re.compile(rf"{self._inside}{self._quote}{cells}{self._quote}{self._inside}".encode("latin-1"))

    @property
    def _delimiter(self) -> str:
        return re.escape(self.delimiter.decode("latin-1"))

    @property
    def _quote(self) -> str:
        return re.escape(self.quote.decode("latin-1"))

    def _unquote(self, cell: bytes) -> bytes:
        if self.has_escapes and b"\\" in cell:
            return self._escaped.sub(lambda found: found[1] or found[2], cell)
        return cell.replace(2 * self.quote, self.quote)

    @cached_property
    def _escaped(self) -> re.Pattern[bytes]:
        """Finds an escaped backslash or quote, and a doubled quote."""
        return re.compile(rf"\\([\\{self._quote}])|({self._quote}){self._quote}".encode("latin-1"))

    @property
    def _inside(self) -> str:
        if self.has_escapes:
            return rf"(?:[^{self._quote}\\]++|\\(?s:.)|\\\Z|{self._quote}{self._quote})*+"
        return rf"(?:[^{self._quote}]++|{self._quote}{self._quote})*+"

    @property
    def _cell(self) -> str:
        quoted = rf"{self._quote}{self._inside}{self._quote}"
        return rf"(?:{quoted}|(?!{self._quote})[^{self._delimiter}]*+)"

    def read_cells(self, row: bytes) -> list[str] | None:
        """The cells of one row; None where its quotes are broken, or it is no UTF-8."""
        row = row.removesuffix(b"\r")
        try:
            if self.quote not in row:
                return row.decode().split(self.delimiter.decode())
            if not self.whole_row.fullmatch(row):
                return None
            found = self.each_cell.findall(self.delimiter + row)
            return [(self._unquote(quoted) if quoted else plain).decode() for quoted, plain in found]
        except UnicodeDecodeError:
            return None

    def find_quoted(self, row: bytes) -> list[bool]:
        """Say of each cell of a whole row whether it stands in quotes; empty ones never do."""
        if self.quote not in row:
            return [False] * (row.count(self.delimiter) + 1)
        return [bool(quoted) for quoted, _ in self.each_cell.findall(self.delimiter + row.removesuffix(b"\r"))]

    def closes_where_one_opens(self, line: bytes) -> bool:
        """Does the first quote that closes a cell in a line that begins within it stand behind a delimiter?"""
        found = self.inner_line.match(line)
        return found is not None and line[: found.end()].endswith(self.delimiter)

    def read_rows(self, rows: Sequence[str]) -> list[list[str]]:
        """The cells of rows, quickly. A row that is not closed takes in the next ones.

        Raises csv.Error for text behind a quoted cell, and for a CR within another; and for backslashes, which that parser
        would take out of other cells, too.
        """
        if self.has_escapes and any("\\" in row for row in rows):
            raise csv.Error
        csv.field_size_limit(MAX_CELL_BYTES)
        reader = csv.reader(
            rows, delimiter=self.delimiter.decode("latin-1"), quotechar=self.quote.decode("latin-1"), strict=True
        )
        return list(reader)
