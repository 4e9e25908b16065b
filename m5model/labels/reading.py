"""Reads the rows of a label feed: JSON Lines, CSV or Parquet, plain or compressed, local or on S3.

Files are found, and lines of JSON read, as ingest does. The rest is pyarrow and the standard library: ingest's readers of CSV
and Parquet bring every column into the shape of a listing, and need a JVM; a label feed is small and has columns of its own.
"""

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from m5model.feeds.json_lines import read_json_text
from m5model.feeds.opening import open_text
from m5model.feeds.sources import CSV, JSON, PARQUET, XML, FeedFiles
from m5model.files import storage
from m5model.runtime.rendering import DEFAULT_RENDERING
from schemas.checks import require
from schemas.errors import BadDataError, ConfigurationError
from schemas.labels import LabelKind

PARQUET_ROWS = 10_000  # of a batch
# Every row of a CSV has one of these under its header's name where it has more cells than the header.
EXTRA_CELLS = "\0extra"

Row = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class ColumnMap:
    """Says where a set's columns come from in the feed. Columns that are not named here are taken under their own names.

    Raises ConfigurationError that names every column that the kind does not have.
    """

    kind: LabelKind
    sources: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # column → those of the feed that are joined into it
    constants: Mapping[str, str] = field(default_factory=dict)  # column → the same value in every row

    def __post_init__(self) -> None:
        known = self.kind.table.column_names
        rules = {
            f"{self.kind.name} has no column {name!r}, only {', '.join(known)}": name in known
            for name in (*self.sources, *self.constants)
        }
        both = sorted({*self.sources} & {*self.constants})
        rules |= {f"{name} has both a source and a constant": False for name in both}
        require("columns", rules)

    def apply(self, row: Mapping[str, Any]) -> Row:
        """The kind's columns of a feed's row; absent ones are None."""
        values = {name: row.get(name) for name in self.kind.table.column_names}
        values |= {name: _join([row.get(source) for source in sources]) for name, sources in self.sources.items()}
        return values | dict(self.constants)


def read_columns(kind: LabelKind, maps: Sequence[str], constants: Sequence[str]) -> ColumnMap:
    """The column map of a command line's ``COLUMN=SOURCE[+SOURCE…]`` and ``COLUMN=VALUE``.

    Raises ConfigurationError naming all that are none.
    """
    pairs = [text.partition("=") for text in (*maps, *constants)]
    require("columns", {f"{''.join(pair)!r} is no NAME=VALUE": bool(pair[0] and pair[1] and pair[2]) for pair in pairs})
    sources = {name: tuple(value.split("+")) for name, _, value in pairs[: len(maps)]}
    return ColumnMap(kind=kind, sources=sources, constants={name: value for name, _, value in pairs[len(maps) :]})


def read_rows(files: FeedFiles) -> Iterator[Row | None]:
    """All rows of all files, each file in its order; None for one that cannot be understood. Empty cells of a CSV are None.

    Raises BadDataError naming a file that cannot be read.
    """
    if others := files.paths(XML):
        raise ConfigurationError(f"{others[0]} is XML: labels are no catalogue", next_step="give JSON Lines, CSV or Parquet")
    for path in files.paths(JSON):
        yield from _json_rows(path)
    for path in files.paths(CSV):
        yield from _csv_rows(path)
    for path in files.paths(PARQUET):
        yield from _parquet_rows(path)


def _json_rows(path: str) -> Iterator[Row | None]:
    with open_text(path) as text:
        for block in read_json_text(text):
            yield from map(_json_row, block.records)


def _json_row(line: bytes) -> Row | None:
    try:
        row = json.loads(line.removeprefix(b"\xef\xbb\xbf"))
    except ValueError:  # JSONDecodeError and UnicodeDecodeError are both
        return None
    return row if isinstance(row, dict) else None


def _csv_rows(path: str) -> Iterator[Row | None]:
    try:
        with open_text(path) as text:
            lines = io.StringIO(b"".join(text.blocks()).decode("utf-8-sig"), newline="")
            for row in csv.DictReader(lines, restkey=EXTRA_CELLS, strict=True):
                yield {name: cell or None for name, cell in row.items()} if EXTRA_CELLS not in row else None
    except (UnicodeDecodeError, csv.Error) as error:
        raise _unreadable(path, error) from error


def _parquet_rows(path: str) -> Iterator[Row | None]:
    filesystem, inner = storage.open_filesystem(path)
    try:
        with filesystem.open_input_file(inner) as file:
            for batch in pq.ParquetFile(file).iter_batches(PARQUET_ROWS):
                yield from batch.to_pylist()
    except (pa.ArrowException, OSError) as error:
        raise _unreadable(path, error) from error


def _unreadable(path: str, error: Exception) -> BadDataError:
    return BadDataError(f"{path} cannot be read: {error}", next_step="have the file written anew, or leave it out of --feed")


def _join(values: Sequence[Any]) -> Any:
    """One value as it is; several as texts, joined as a rendering joins fields. Absent and empty ones are left out."""
    if len(values) == 1:
        return values[0]
    texts = [re.sub(r"\s+", " ", str(value)).strip() for value in values if value is not None]
    return DEFAULT_RENDERING.separator.join(text for text in texts if text) or None
