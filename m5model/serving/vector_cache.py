"""Keeps the vectors of frequent texts. It is exact: a vector is a function of its text and of the space alone."""

from collections import OrderedDict
from dataclasses import dataclass

import numpy as np

# What an entry costs beside its text and its numbers: 280 bytes in a cache of 20,000 (tracemalloc), more where the table has
# just grown.
ENTRY_BYTES = 400

Key = str | tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Kept:
    """A text's vector, and what was reported of the text."""

    vector_D: np.ndarray  # float32, unit length
    tokens: int  # after truncation
    is_truncated: bool  # it has more tokens than the model reads


class VectorCache:
    """The least recently used entries go first. Belongs to one space; used by one thread."""

    def __init__(self, megabytes: int) -> None:
        self._entries: OrderedDict[Key, Kept] = OrderedDict()
        self._capacity = megabytes << 20
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: Key) -> Kept | None:
        kept = self._entries.get(key)
        if kept is not None:
            self._entries.move_to_end(key)
        return kept

    def put(self, key: Key, kept: Kept) -> None:
        size = _size(key, kept)
        if key in self._entries or size > self._capacity:
            return
        self._entries[key] = kept
        self._bytes += size
        while self._bytes > self._capacity:
            self._bytes -= _size(*self._entries.popitem(last=False))


def _size(key: Key, kept: Kept) -> int:
    """At most what the entry takes in memory, in bytes."""
    return ENTRY_BYTES + (4 if isinstance(key, str) else 36) * len(key) + kept.vector_D.nbytes
