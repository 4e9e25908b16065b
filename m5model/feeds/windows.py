"""A window that moves over a file's text: what is looked for may lie in any of its blocks."""

import re
from collections.abc import Iterator

from m5model.feeds.opening import TextFile


class Window:
    """``data`` from ``at`` on is what has not been taken yet."""

    def __init__(self, text: TextFile) -> None:
        self.text = text
        self.data, self.at = b"", 0
        self.place = 0  # of ``data`` in the text
        self._blocks: Iterator[bytes] = text.blocks()
        self.is_whole = False  # nothing comes behind ``data``

    @property
    def size(self) -> int:
        """Bytes that have not been taken yet."""
        return len(self.data) - self.at

    def fill(self) -> bool:
        """Takes another block in. False at the end of the file."""
        block = next(self._blocks, None)
        if block is None:
            self.is_whole = True
            return False
        self.place += self.at
        self.data, self.at = self.data[self.at :] + block, 0
        return True

    def take(self, end: int) -> bytes:
        """The bytes up to ``end``, a position in ``data``."""
        taken = self.data[self.at : end]
        self.at = end
        return taken

    def find(self, pattern: re.Pattern[bytes], limit: int, skip: int = 0) -> re.Match[bytes] | None:
        """The first match ``skip`` bytes behind ``at`` or later, taking in as many bytes as ``limit`` allows."""
        while True:
            found = pattern.search(self.data, self.at + skip)
            # A match at the end of what is there might be longer.
            if found is not None and (found.end() < len(self.data) or self.is_whole):
                return found
            if self.size > limit or not self.fill():
                return found
