"""Files of JSON Lines, cut into splits that tasks read by themselves: no record passes through the JVM.

A line belongs to the split in which it begins. Compressed files cannot be cut, and are one split each.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from m5model.files import storage
from schemas.errors import BadDataError
from spark.ingest.reading.sources import COMPRESSIONS

# A block's lines are judged together.
BLOCK_BYTES = 1 << 20
MIN_TASK_BYTES, MAX_TASK_BYTES = 4 << 20, 128 << 20
# Finer than tasks, so that tasks are of one size whatever files are.
SPLITS_PER_TASK = 4
# No record: a whole catalogue in one line, or no JSON at all.
MAX_LINE_BYTES = 256 << 20
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
        """The file as a URI, as Spark names those of CSV and Parquet."""
        return self.path if storage.is_remote(self.path) else Path(self.path).as_uri()


def plan_tasks(files: Sequence[str], parallelism: int) -> list[list[Split]]:
    """Cuts files into splits and deals them out to tasks of about the same size, as many as fill whole rounds."""
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
    """The split's lines without their ends, those of a block at a time. Blank lines are left out.

    Raises BadDataError for a line that fits no memory, and where a file cannot be decompressed.
    """
    blocks = _read_range(split) if split.end is not None else _read_compressed(split)
    for lines in _split_lines(blocks, split.path):
        yield [line for line in lines if line.strip(b" \r")]


def _cut(path: str, size: int, wanted: int) -> Iterator[tuple[Split, int]]:
    if Path(path).suffix.lower() in COMPRESSIONS:
        yield Split(path), size + OPENING_BYTES
        return
    pieces = max(1, -(-size // max(1, wanted)))
    ends = [size * piece // pieces for piece in range(pieces + 1)]
    for start, end in zip(ends, ends[1:], strict=False):
        yield Split(path, start, end), end - start + (OPENING_BYTES if start == 0 else 0)


def _read_compressed(split: Split) -> Iterator[bytes]:
    filesystem, inner = storage.open_filesystem(split.path)
    try:
        with filesystem.open_input_stream(inner, compression=COMPRESSIONS[Path(inner).suffix.lower()]) as stream:
            while block := stream.read(BLOCK_BYTES):
                yield block
    except (pa.ArrowException, OSError) as error:
        raise BadDataError(f"{split.path} cannot be read to its end: {error}", next_step="compress the file anew") from error


def _read_range(split: Split) -> Iterator[bytes]:
    """From the first line that begins in the split to the end of the last one."""
    filesystem, inner = storage.open_filesystem(split.path)
    with filesystem.open_input_file(inner) as file:
        at, end = max(0, split.start - 1), split.end or 0  # the byte before the split may end a line
        file.seek(at)
        is_begun = split.start == 0
        block = b"\n"
        while at < end and (block := file.read(min(BLOCK_BYTES, end - at))):
            at += len(block)
            if not is_begun:
                _, line_end, begun = block.partition(b"\n")
                is_begun = bool(line_end)
                yield begun
            else:
                yield block
        if at < end:
            raise BadDataError(
                f"{split.path} became shorter while it was read: {end:,} bytes expected, {at:,} found",
                next_step="start again when the file is whole",
            )
        if is_begun and not block.endswith(b"\n"):
            yield from _read_to_line_end(file)


def _read_to_line_end(file: Any) -> Iterator[bytes]:
    while block := file.read(BLOCK_BYTES):
        head, end, _ = block.partition(b"\n")
        yield head + end
        if end:
            return


def _split_lines(blocks: Iterator[bytes], path: str) -> Iterator[list[bytes]]:
    begun: list[bytes] = []
    for block in blocks:
        whole, end, rest = block.rpartition(b"\n")
        if end:
            yield b"".join((*begun, whole)).split(b"\n")
            begun = [rest]
        else:
            begun.append(block)
            if len(begun) > MAX_LINE_BYTES // BLOCK_BYTES:
                raise BadDataError(
                    f"{path} holds a line of more than {MAX_LINE_BYTES:,} bytes", next_step="give one JSON object a line"
                )
    if any(begun):
        yield [b"".join(begun)]
