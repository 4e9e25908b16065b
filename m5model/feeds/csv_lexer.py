"""Physical lines of a CSV become rows. A quote that never closes takes no other row along.

A row of several lines is kept where its cells close as RFC 4180 says and are as many as the header's. Else what was open is one
damaged region, which ends before the next line that looks like a row (csv_profiles), or is one by itself: where text stands
behind a closed quote, where the file ends within a cell, where a row of several lines has another number of cells, is longer
than a row may be, or where its quotes close in what is better read as other rows.

Files with tabs are often written without any quoting: a line in which text stands behind a quote that closes, and that has as
many tabs as a row, is a row as it stands (``"quoted" text``).
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from m5model.feeds.csv_dialects import Dialect
from m5model.feeds.csv_profiles import Profile
from schemas.reject import MAX_RECORD_BYTES

BROKEN_QUOTES = "broken_quotes"
TAB = b"\t"
MAX_ROW_LINES = 1_000  # within one row; more are no cell


@dataclass(frozen=True)
class Row:
    """A row's bytes, without the end of its last line."""

    text: bytes
    lines: int = 1
    damage: str | None = None
    is_literal: bool = False  # its quotes mean nothing


class Lexer:
    """Takes lines in order, gives rows: each line is in one of them. A blank line outside of a cell is a blank row."""

    def __init__(self, profile: Profile, columns: int) -> None:
        self._profile, self._dialect, self._columns = profile, profile.dialect, columns
        self._open: list[bytes] = []
        self.open_bytes = 0  # of the lines of a row that has not ended, line ends among them

    @property
    def is_open(self) -> bool:
        """Did the last line end within a cell?"""
        return bool(self._open)

    def take(self, lines: Iterable[bytes]) -> list[Row]:
        """Rows that end in these lines."""
        rows: list[Row] = []
        waiting = deque(lines)
        while waiting:
            line = waiting.popleft()
            if self._open:
                self._take_inner(line, rows, waiting)
            else:
                self._begin(line, rows)
        return rows

    def finish(self) -> list[Row]:
        """The rest: the file, or what this reader is to read of it, is at its end."""
        rows: list[Row] = []
        while self._open:
            waiting: deque[bytes] = deque()
            self._break(rows, waiting)
            rows += self.take(waiting)
        return rows

    def _begin(self, line: bytes, rows: list[Row]) -> None:
        if self._dialect.quote not in line or self._dialect.whole_row.fullmatch(line.removesuffix(b"\r")):
            rows.append(Row(line))
        elif self._dialect.open_row.fullmatch(line):
            self._open, self.open_bytes = [line], len(line) + 1
        elif self._dialect.delimiter == TAB and line.count(TAB) + 1 == self._columns:
            rows.append(Row(line, is_literal=True))
        else:
            rows.append(Row(line, damage=BROKEN_QUOTES))

    def _take_inner(self, line: bytes, rows: list[Row], waiting: deque[bytes]) -> None:
        """A line that begins within a cell."""
        self._open.append(line)
        self.open_bytes += len(line) + 1
        goes_on = _goes_on(self._dialect, line)
        if goes_on is None:
            self._close(rows, waiting)
        elif not goes_on or len(self._open) > MAX_ROW_LINES or self.open_bytes > MAX_RECORD_BYTES:
            self._break(rows, waiting)

    def _close(self, rows: list[Row], waiting: deque[bytes]) -> None:
        row = Row(self._dialect.line_end.join(self._open), lines=len(self._open))
        cells = self._dialect.read_cells(row.text)
        if (cells is not None and not fits(cells, self._columns)) or self._has_swallowed(self._open[1:]):
            self._break(rows, waiting)
        else:
            self._open, self.open_bytes = [], 0
            rows.append(row)

    def _has_swallowed(self, lines: list[bytes]) -> bool:
        """Are rows the better reading of these lines within cells? They are where one of them looks like a row, and a quote
        that closes has a place in a row, too: its line looks like one, or it stands where a cell would open."""
        closing = [line for line in lines if self._dialect.quote in line and not self._dialect.inner_line.fullmatch(line)]
        if any(map(self._profile.is_row, closing)):
            return True
        return any(map(self._dialect.closes_where_one_opens, closing)) and any(map(self._profile.is_row, lines))

    def _break(self, rows: list[Row], waiting: deque[bytes]) -> None:
        """The open lines up to the first that looks like a row, or is one by itself, become a damaged region; the others are
        read again."""
        lines, self._open, self.open_bytes = self._open, [], 0
        begins = (i for i in range(1, len(lines)) if self._profile.is_row(lines[i]) or self._is_whole(lines[i]))
        end = next(begins, len(lines))
        rows.append(Row(self._dialect.line_end.join(lines[:end]), lines=end, damage=BROKEN_QUOTES))
        waiting.extendleft(reversed(lines[end:]))

    def _is_whole(self, line: bytes) -> bool:
        cells = self._dialect.read_cells(line)
        return cells is not None and fits(cells, self._columns)


def never_closes(dialect: Dialect, lines: Iterable[bytes]) -> bool:
    """Would a cell that is open where these lines begin never close rightly, whatever stands before them?"""
    size = 0
    for number, line in enumerate(lines, start=1):
        size += len(line) + 1
        goes_on = _goes_on(dialect, line)
        if not goes_on:
            return goes_on is not None
        if number > MAX_ROW_LINES or size > MAX_RECORD_BYTES:
            return True
    return True


def _goes_on(dialect: Dialect, line: bytes) -> bool | None:
    """Does a line that begins within a cell end within one? None where it ends the row; False where its quotes are broken."""
    if dialect.quote not in line or dialect.inner_line.fullmatch(line):
        return True
    if dialect.last_line.fullmatch(line.removesuffix(b"\r")):
        return None
    return bool(dialect.reopening_line.fullmatch(line))


def fits(cells: list[str], columns: int) -> bool:
    """Has a row a cell for each column, and nothing but empty ones behind them?"""
    return len(cells) == columns or (len(cells) > columns and not any(cells[columns:]))
