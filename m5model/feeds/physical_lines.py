"""Cuts text into physical lines, a block's at a time."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from m5model.feeds.compression import BLOCK_BYTES, ByteStream
from schemas.errors import BadDataError

# No record: a whole catalogue in one line, or no text at all.
MAX_LINE_BYTES = 256 << 20


@dataclass(frozen=True)
class LineBlock:
    """Lines without their ends. Every line has an end, but for the last one of a file where ``is_cut``."""

    lines: list[bytes]
    is_cut: bool = False

    @property
    def size(self) -> int:
        """Bytes, line ends among them."""
        return sum(map(len, self.lines)) + len(self.lines) - self.is_cut


def split_lines(blocks: Iterable[bytes], path: str, end: bytes = b"\n") -> Iterator[LineBlock]:
    """All lines, blank ones among them. ``end`` is one byte. Raises BadDataError for a line that fits no memory."""
    begun: list[bytes] = []
    waiting = 0
    for block in blocks:
        whole, found, rest = block.rpartition(end)
        if found:
            yield LineBlock(b"".join((*begun, whole)).split(end))
            begun, waiting = [rest], len(rest)
        else:
            begun.append(block)
            waiting += len(block)
            if waiting > MAX_LINE_BYTES:
                raise BadDataError(
                    f"{path} holds a line of more than {MAX_LINE_BYTES:,} bytes", next_step="give one JSON object a line"
                )
    if any(begun):
        yield LineBlock([b"".join(begun)], is_cut=True)


def read_range(stream: ByteStream, path: str, at: int, end: int) -> Iterator[bytes]:
    """Bytes ``at`` to ``end`` of a stream that stands at ``at``. Raises BadDataError where it has fewer."""
    while at < end:
        block = stream.read(min(BLOCK_BYTES, end - at))
        if not block:
            raise changed_size(path, end, at)
        at += len(block)
        yield bytes(block)


def changed_size(path: str, expected: int, found: int) -> BadDataError:
    """The error for a file that is written while it is read. Both are bytes; of a longer file not all are read."""
    return BadDataError(
        f"{path} became {'shorter' if found < expected else 'longer'} while it was read: {expected:,} bytes expected",
        next_step="start again when the file is whole",
    )
