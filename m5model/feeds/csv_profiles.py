"""What rows of a file look like, so that a line within a quoted cell can be told from a row that the cell has swallowed.

A line looks like a row where it has as many cells as the header, and each cell is about as long as those of its column in the
first rows of the file, and of the same kinds of characters where the column holds no blanks: keys, codes, prices. Files of free
text alone have no such column, and no line of theirs looks like a row.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from m5model.feeds.csv_dialects import Dialect

# A cell's characters are of these kinds; a column's kinds are those of all its cells.
KINDS = (
    re.compile("[^\\W\\d_]"),  # letters
    re.compile("\\d"),
    re.compile("\\s"),
    re.compile("[-_./:+]"),  # as codes, times and addresses have them
    re.compile("[^\\w\\s./:+-]|[\\x00-\\x08]"),
)
LETTER, DIGIT, BLANK = 0, 1, 2
LONGER = 3  # times as long as in the first rows, and some characters, a cell may be
MORE_CHARACTERS = 16
MIN_COLUMNS = 2


@dataclass(frozen=True, kw_only=True)
class Column:
    """What a column's cells have in the first rows."""

    allowed: frozenset[int]  # positions in KINDS
    needed: frozenset[int]
    is_filled: bool
    max_length: int  # characters

    def fits(self, cell: str) -> bool:
        """Does ``cell`` look like one of the column's?"""
        if not cell:
            return not self.is_filled
        is_text = BLANK in self.allowed
        return len(cell) <= LONGER * self.max_length + MORE_CHARACTERS and (
            is_text or self.needed <= _kinds_of(cell) <= self.allowed
        )


@dataclass(frozen=True, kw_only=True)
class Profile:
    """What rows look like. One that can tell nothing has no columns."""

    dialect: Dialect
    columns: tuple[Column, ...] = ()

    def is_row(self, line: bytes) -> bool:
        """Does the line look like a row by itself? Where it stands does not matter."""
        if not self.columns or line.count(self.dialect.delimiter) < len(self.columns) - 1:
            return False
        cells = self.dialect.read_cells(line)
        if cells is None or len(cells) != len(self.columns):
            return False
        quote = self.dialect.quote.decode()  # says nothing: one too many is what the line is asked for
        return all(column.fits(cell.replace(quote, "")) for column, cell in zip(self.columns, cells, strict=True))


def learn_profile(dialect: Dialect, lines: Iterable[bytes], columns: int) -> Profile:
    """The profile of rows that take one line each. Those of other lengths do not count."""
    rows = [cells for cells in map(dialect.read_cells, lines) if cells is not None and len(cells) == columns]
    if not rows or columns < MIN_COLUMNS:
        return Profile(dialect=dialect)
    found = tuple(_describe(column) for column in zip(*rows, strict=True))
    is_telling = any(column.is_filled and BLANK not in column.allowed for column in found)
    return Profile(dialect=dialect, columns=found if is_telling else ())


def _describe(cells: Sequence[str]) -> Column:
    kinds = [_kinds_of(cell) for cell in cells if cell]
    return Column(
        allowed=frozenset().union(*kinds),
        needed=frozenset.intersection(*kinds) & {LETTER, DIGIT} if kinds else frozenset(),
        is_filled=len(kinds) == len(cells),
        max_length=max(map(len, cells)),
    )


def _kinds_of(cell: str) -> frozenset[int]:
    return frozenset(kind for kind, pattern in enumerate(KINDS) if pattern.search(cell))
