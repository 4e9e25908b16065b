"""Finds what a CSV file is: its dialect, its header and what its rows look like, found in its first bytes."""

from collections.abc import Sequence
from dataclasses import dataclass

from m5model.feeds.blocks import BLANK, HEADER
from m5model.feeds.csv_dialects import Dialect
from m5model.feeds.csv_lexer import Lexer
from m5model.feeds.csv_profiles import Profile, learn_profile
from m5model.feeds.opening import UTF_8_MARK
from m5model.feeds.records import is_known, name_columns
from schemas.errors import BadDataError

DELIMITERS = (b",", b";", b"\t", b"|")
ANNOUNCEMENT = b"sep="  # as Excel says its delimiter, in a line of its own
SAMPLE_LINES = 500
PREAMBLE_LINES = 20  # above a header
MIN_COLUMNS = 2  # of a feed: an id and a title
HEADER_LINES = 100  # of one header at most


@dataclass(frozen=True, kw_only=True)
class CsvForm:
    """Says how to read a file's rows."""

    profile: Profile
    names: tuple[str, ...]  # of the columns
    header: tuple[str, ...]  # as it is written
    body: int  # where the first row begins: bytes of the text before it
    blank: int  # of these, bytes of blank lines

    @property
    def dialect(self) -> Dialect:
        return self.profile.dialect

    @property
    def other(self) -> dict[str, int]:
        """Says what the bytes before the first row are."""
        return {HEADER: self.body - self.blank, BLANK: self.blank}


@dataclass(frozen=True)
class _Header:
    """A header under one dialect."""

    dialect: Dialect
    cells: list[str]
    body: int
    blank: int
    lines: list[bytes]  # behind it

    @property
    def rank(self) -> tuple[int, int, int]:
        """The dialect of a file gives fields that are known, rows of as many cells, and more of these."""
        known = sum(is_known(cell.strip()) for cell in self.cells)
        rows = [self.dialect.read_cells(line) for line in self.lines]
        fitting = sum(row is not None and len(row) == len(self.cells) for row in rows)
        return known, fitting if len(self.cells) > 1 else 0, len(self.cells)


def find_csv_form(head: bytes, path: str) -> CsvForm | None:
    """The form of a file that begins with ``head``; None where it has no header.

    Raises BadDataError for a header whose quotes do not close.
    """
    line_end = b"\n" if b"\n" in head else b"\r" if b"\r" in head else b"\n"
    start = len(UTF_8_MARK) if head.startswith(UTF_8_MARK) else 0
    lines = head[start:].split(line_end)
    announced, start = _read_announcement(lines, start)
    headers = _read_headers(lines, announced, line_end, start)
    if headers and all(len(header.cells) == 1 for header in headers):
        headers = _read_headers_below(lines, announced, line_end, start) or headers
    if not any(line.strip(b" \r") for line in lines):
        return None
    if not headers:
        raise BadDataError(
            f"{path} cannot be read: the quotes of its header do not close", next_step="have the file written anew"
        )
    best = max(headers, key=lambda header: header.rank)
    names = name_columns(best.cells)
    # Lines within a cell must not count, so the first rows are read without a profile before.
    lexer = Lexer(Profile(dialect=best.dialect), len(names))
    rows = [row.text for row in (*lexer.take(best.lines), *lexer.finish()) if not row.damage]
    profile = learn_profile(best.dialect, rows, len(names))
    return CsvForm(profile=profile, names=names, header=tuple(best.cells), body=best.body, blank=best.blank)


def _read_headers(lines: list[bytes], delimiters: Sequence[bytes], line_end: bytes, start: int) -> list[_Header]:
    """The header under each dialect that is possible."""
    escapes = (False, True) if any(b'\\"' in line for line in lines) else (False,)
    dialects = [
        Dialect(delimiter=sign, quote=quote, line_end=line_end, has_escapes=has_escapes)
        for has_escapes in escapes
        for sign in delimiters
        for quote in _quotes(lines)
    ]
    return [header for dialect in dialects if (header := _read_header(lines, dialect, start)) is not None]


def _read_headers_below(lines: list[bytes], delimiters: Sequence[bytes], line_end: bytes, start: int) -> list[_Header]:
    """Reads those below lines of one cell, a title or a date: the first of several cells that has rows of as many below it."""
    for skipped in range(1, min(PREAMBLE_LINES, len(lines) - 1) + 1):
        above = sum(len(line) + 1 for line in lines[:skipped])
        headers = _read_headers(lines[skipped:], delimiters, line_end, start + above)
        if found := [header for header in headers if len(header.cells) >= MIN_COLUMNS and header.rank[1]]:
            return found
    return []


def _read_announcement(lines: list[bytes], start: int) -> tuple[Sequence[bytes], int]:
    """The delimiters that are possible, and where the header may begin. Takes the announcement out of ``lines``."""
    first = lines[0].strip(b'\r"')
    if len(lines) > 1 and first.lower().startswith(ANNOUNCEMENT) and len(first) == len(ANNOUNCEMENT) + 1:
        return (first[-1:],), start + len(lines.pop(0)) + 1
    return DELIMITERS, start


def _quotes(lines: list[bytes]) -> Sequence[bytes]:
    """A single quote is one only where the header is written with it."""
    header = next((line for line in lines if line.strip(b" \r")), b"").strip(b" \r")
    is_single = len(header) > 1 and header.startswith(b"'") and header.endswith(b"'")
    return (b"'",) if is_single else (b'"',)


def _read_header(lines: list[bytes], dialect: Dialect, start: int) -> _Header | None:
    """The first row that is not blank; None where its quotes do not close."""
    first = next((i for i, line in enumerate(lines) if line.strip(b" \r")), len(lines))
    blank = sum(len(line) + 1 for line in lines[:first])
    for end in range(first + 1, min(first + HEADER_LINES, len(lines)) + 1):
        header = dialect.line_end.join(lines[first:end])
        cells = dialect.read_cells(header.decode("utf-8", "replace").encode())
        if cells is not None:
            # The last line of what was looked at may be cut, and a file may end without a line end.
            body = start + blank + len(header) + (end < len(lines))
            rows = [line for line in lines[end:-1][:SAMPLE_LINES] if line.strip(b" \r")]
            return _Header(dialect, cells, body, blank, rows)
    return None
