"""Tells which records of a batch stand in ``listings`` already, by their content hashes alone.

A content hash covers the key and every other column that a feed brings, so a listing whose hash is stored is unchanged; its
columns need not be written anywhere, nor compared. Workers hold the first 128 of a hash's 256 bits, as two sorted columns of
64: at a billion listings the odds that any two agree in 128 bits are 1 in 10^21.

A worker reads the hashes of a locale when its first record comes, and keeps them for the tasks that follow.
"""

import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from m5model.files import storage

# What a worker keeps at most: 16 bytes a listing.
MAX_KNOWN_ROWS = 10_000_000
# To read the hashes of a listing costs about a twentieth of what is saved for a record that is known, of some 400 bytes.
FEED_BYTES_PER_ROW = 20
HASH_CHARACTERS = 64


@dataclass(frozen=True, kw_only=True)
class ContentFiles:
    """The data files of one version of ``listings``, by locale, of those locales that are worth it."""

    version: int
    paths: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    rows: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class _Hashes:
    """The two halves of sorted hashes."""

    high: np.ndarray
    low: np.ndarray

    def find(self, high: np.ndarray, low: np.ndarray) -> np.ndarray:
        """Says of each whether it is here. Of two that agree in their first half, one counts as absent: it is compared then."""
        if not len(self.high):
            return np.zeros(len(high), bool)
        at = np.minimum(np.searchsorted(self.high, high), len(self.high) - 1)
        return np.asarray((self.high[at] == high) & (self.low[at] == low))


@dataclass
class KnownContents:
    """The hashes that this process has read of one version of the table."""

    files: ContentFiles
    _by_locale: dict[str, _Hashes] = field(default_factory=dict)

    def find(self, locales: Sequence[str], digests: Sequence[bytes]) -> np.ndarray:
        """Says of each record whether a listing of its locale has its content."""
        known = np.zeros(len(digests), bool)
        halves = np.frombuffer(b"".join(digests), ">u8").reshape(len(digests), -1)
        names = np.array(locales, object)
        for locale in set(locales):
            if (hashes := self._hashes_of(locale)) is not None:
                here = np.flatnonzero(names == locale)
                known[here] = hashes.find(*(halves[here, column].astype(np.uint64) for column in (0, 1)))
        return known

    def _hashes_of(self, locale: str) -> _Hashes | None:
        if locale not in self.files.paths:
            return None
        if locale not in self._by_locale:
            held = sum(len(hashes.high) for hashes in self._by_locale.values())
            if held + self.files.rows[locale] > MAX_KNOWN_ROWS:
                return None
            self._by_locale[locale] = _read_hashes(self.files.paths[locale])
        return self._by_locale[locale]


_held: list[KnownContents] = []  # of this process: those of the last table version that was asked for


def open_known_contents(files: ContentFiles) -> KnownContents:
    """What this process has read of ``files`` already, or nothing yet."""
    if not _held or _held[0].files != files:
        _held[:] = [KnownContents(files)]
    return _held[0]


def _read_hashes(paths: Sequence[str]) -> _Hashes:
    columns = [column for path in paths for column in _read_column(path)]
    high, low = (np.concatenate([np.empty(0, np.uint64), *(half[i] for half in columns)]) for i in (0, 1))
    order = np.argsort(high)
    return _Hashes(high[order], low[order])


def _read_column(path: str) -> list[tuple[np.ndarray, np.ndarray]]:
    filesystem, inner = storage.open_filesystem(path)
    with filesystem.open_input_file(inner) as stored, pq.ParquetFile(stored) as file:
        column = file.read(columns=["content_hash"], use_threads=False)["content_hash"]
    return [_halve(chunk.cast(pa.string())) for chunk in column.chunks if len(chunk)]


def _halve(hashes: pa.StringArray) -> tuple[np.ndarray, np.ndarray]:
    """The first two quarters of hashes of one length, from hex."""
    _, _, data = hashes.buffers()
    start = hashes.offset * HASH_CHARACTERS
    text = data[start : start + len(hashes) * HASH_CHARACTERS]
    quarters = np.frombuffer(binascii.unhexlify(text), ">u8").reshape(len(hashes), -1)
    return quarters[:, 0].astype(np.uint64), quarters[:, 1].astype(np.uint64)
