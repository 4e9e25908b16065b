"""Files of JSON Lines, cut into splits that tasks read by themselves: no record passes through the JVM.

A line belongs to the split in which it begins. Compressed files cannot be cut, and are one split each.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from m5model import storage
from spark.ingest.sources import COMPRESSIONS

# A block's lines are judged together: about as many as stay in a processor's cache.
BLOCK_BYTES = 1 << 20
MIN_TASK_BYTES, MAX_TASK_BYTES = 4 << 20, 128 << 20
# Finer than tasks, so that tasks are of one size whatever files are.
SPLITS_PER_TASK = 4
# Opening a file costs about as much as reading this.
OPENING_BYTES = 64 << 10


@dataclass(frozen=True)
class Split:
    """Bytes ``start`` to ``end`` of a file as it is stored; ``end`` is None where it is compressed."""

    path: str
    start: int = 0
    end: int | None = None

    @property
    def source_file(self) -> str:
        """As Spark names the file that a row came from."""
        return self.path if storage.is_remote(self.path) else Path(self.path).as_uri()


def plan_tasks(files: Sequence[str], parallelism: int) -> list[list[Split]]:
    """Splits of all files, and which of them one task reads: of about the same size, and rounds of tasks that are full."""
    sizes = storage.file_sizes(files)
    total = sum(sizes) + len(sizes) * OPENING_BYTES
    rounds = -(-total // (MAX_TASK_BYTES * parallelism))
    count = min(rounds * parallelism, -(-total // MIN_TASK_BYTES))
    tasks: dict[int, list[Split]] = {}
    before = 0
    for path, size in zip(files, sizes, strict=True):
        for split, cost in _cut(path, size, total // count // SPLITS_PER_TASK):
            tasks.setdefault((before + cost // 2) * count // total, []).append(split)
            before += cost
    return list(tasks.values())


def read_blocks(split: Split) -> Iterator[list[bytes]]:
    """The split's lines without their ends, those of a block at a time. Blank lines are left out."""
    blocks = _read_range(split) if split.end is not None else _read_compressed(split)
    is_first = split.start > 0
    for lines in _split_lines(blocks):
        # The first one began in the split before, or is what precedes the line end at which this split begins.
        yield [line for line in (lines[1:] if is_first else lines) if line.strip(b" ")]
        is_first = False


def _cut(path: str, size: int, wanted: int) -> Iterator[tuple[Split, int]]:
    if path.endswith(COMPRESSIONS):
        yield Split(path), size + OPENING_BYTES
        return
    pieces = max(1, -(-size // max(1, wanted)))
    ends = [size * piece // pieces for piece in range(pieces + 1)]
    for start, end in zip(ends, ends[1:], strict=False):
        yield Split(path, start, end), end - start + (OPENING_BYTES if start == 0 else 0)


def _read_compressed(split: Split) -> Iterator[bytes]:
    filesystem, inner = storage.open_filesystem(split.path)
    with filesystem.open_input_stream(inner, compression="detect") as stream:
        while block := stream.read(BLOCK_BYTES):
            yield block


def _read_range(split: Split) -> Iterator[bytes]:
    """From the byte before the split, which may end a line, to the end of the last line that begins in it."""
    filesystem, inner = storage.open_filesystem(split.path)
    with filesystem.open_input_file(inner) as file:
        at = max(0, split.start - 1)
        file.seek(at)
        end = split.end or 0
        block = b"\n"
        while at < end and (block := file.read(min(BLOCK_BYTES, end - at))):
            at += len(block)
            yield block
        if not block.endswith(b"\n"):
            yield from _read_to_line_end(file)


def _read_to_line_end(file: Any) -> Iterator[bytes]:
    while block := file.read(BLOCK_BYTES):
        head, end, _ = block.partition(b"\n")
        yield head + end
        if end:
            return


def _split_lines(blocks: Iterator[bytes]) -> Iterator[list[bytes]]:
    begun: list[bytes] = []
    for block in blocks:
        whole, end, rest = block.rpartition(b"\n")
        if end:
            yield b"".join((*begun, whole)).split(b"\n")
            begun = [rest]
        else:
            begun.append(block)
    if any(begun):
        yield [b"".join(begun)]
