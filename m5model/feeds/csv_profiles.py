"""Learns what rows of a file look like, so that rows are found again behind a quote that does not close.

A line looks like a row where it has as many cells as the header, and each cell is about as long as those of its column in the
first rows of the file, of the same kinds of characters where the column holds no blanks (keys, codes, prices), and quoted where
all of its column are. Files of free text alone have no such column, and no line of theirs looks like a row. Where the first
columns are keys, a line also begins as a row, of several lines or damaged, if its first cells are such.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

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
TELLING = 2  # of the first columns, where a line begins as a row and is not one


@dataclass(frozen=True, kw_only=True)
class Column:
    """States what a column's cells have in the first rows."""

    allowed: frozenset[int]  # positions in KINDS
    needed: frozenset[int]
    is_filled: bool
    is_quoted: bool  # every cell that is not empty stands in quotes
    max_length: int  # characters

    @property
    def is_telling(self) -> bool:
        """Is it filled, without blanks?"""
        return self.is_filled and BLANK not in self.allowed

    def fits(self, cell: str, *, is_quoted: bool) -> bool:
        """Does ``cell`` look like one of the column's?"""
        if not cell:
            return not self.is_filled
        if self.is_quoted and not is_quoted:
            return False
        is_text = BLANK in self.allowed
        return len(cell) <= LONGER * self.max_length + MORE_CHARACTERS and (
            is_text or self.needed <= _kinds_of(cell) <= self.allowed
        )


@dataclass(frozen=True, kw_only=True)
class Profile:
    """States what rows look like. One that can tell nothing has no columns."""

    dialect: Dialect
    columns: tuple[Column, ...] = ()

    def is_row(self, line: bytes) -> bool:
        """Does the line look like a row, or begin as one? Where it stands does not matter."""
        if not self.columns or line.count(self.dialect.delimiter) < min(self._key or len(self.columns), len(self.columns) - 1):
            return False
        if self._key and (found := self.dialect.first_cells.match(line)) and self._fits(found[0][:-1], self._key):
            return True
        cells = self.dialect.read_cells(line)
        return cells is not None and len(cells) == len(self.columns) and self._fits(line, len(self.columns))

    def _fits(self, cells: bytes, count: int) -> bool:
        """Are there so many cells, and do they look like those of the first columns?"""
        found = self.dialect.read_cells(cells)
        if found is None or len(found) < count:
            return False
        quote = self.dialect.quote.decode()  # within a cell it says nothing: one too many is what the line is asked for
        each = zip(self.columns[:count], found, self.dialect.find_quoted(cells), strict=False)
        return all(column.fits(cell.replace(quote, ""), is_quoted=is_quoted) for column, cell, is_quoted in each)

    @cached_property
    def _key(self) -> int:
        """So many first cells tell that a row begins: two of them without blanks, one of these with digits. 0 where none do."""
        telling = [i for i, column in enumerate(self.columns) if column.is_telling][:TELLING]
        has_digits = any(DIGIT in self.columns[i].needed for i in telling)
        return telling[-1] + 1 if len(telling) == TELLING and has_digits else 0


def learn_profile(dialect: Dialect, texts: Iterable[bytes], columns: int) -> Profile:
    """The profile of some whole rows. Those of other lengths do not count."""
    read = [(cells, text) for text in texts if (cells := dialect.read_cells(text)) is not None and len(cells) == columns]
    if not read or columns < MIN_COLUMNS:
        return Profile(dialect=dialect)
    by_column = zip(*(cells for cells, _ in read), strict=True)
    quoted = zip(*(dialect.find_quoted(text) for _, text in read), strict=True)
    found = tuple(_describe(*column) for column in zip(by_column, quoted, strict=True))
    return Profile(dialect=dialect, columns=found if any(column.is_telling for column in found) else ())


def _describe(cells: Sequence[str], quoted: Sequence[bool]) -> Column:
    kinds = [_kinds_of(cell) for cell in cells if cell]
    return Column(
        allowed=frozenset().union(*kinds),
        needed=frozenset.intersection(*kinds) & {LETTER, DIGIT} if kinds else frozenset(),
        is_filled=len(kinds) == len(cells),
        is_quoted=bool(kinds) and all(is_quoted for cell, is_quoted in zip(cells, quoted, strict=True) if cell),
        max_length=max(map(len, cells)),
    )


def _kinds_of(cell: str) -> frozenset[int]:
    return frozenset(kind for kind, pattern in enumerate(KINDS) if pattern.search(cell))
