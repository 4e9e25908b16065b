"""Files of JSON Lines, cut into splits. A line belongs to the split in which it begins."""

from collections.abc import Iterator

from m5model.feeds.blocks import BLANK, SEPARATORS, Block
from m5model.feeds.compression import BLOCK_BYTES, ByteStream
from m5model.feeds.opening import TextFile, open_at
from m5model.feeds.physical_lines import LineBlock, changed_size, read_range, split_lines


def read_json_lines(path: str, start: int, end: int, size: int) -> Iterator[Block]:
    """The lines that begin in bytes ``start`` to ``end`` of a file of ``size`` bytes. Blank lines are counted only.

    Raises BadDataError for a line that fits no memory, and where the file changed while it was read.
    """
    at = max(0, start - 1)  # the byte before the split may end a line
    with open_at(path, at) as stream:
        place = start
        for lines in split_lines(_read_split(stream, path, start, end, size), path):
            yield make_block(lines, place)
            place += lines.size


def read_json_text(text: TextFile) -> Iterator[Block]:
    """All lines of an open file. The last block has the file's total."""
    place = 0
    for lines in split_lines(text.blocks(), text.path):
        yield make_block(lines, place, text)
        place += lines.size


def make_block(block: LineBlock, place: int, text: TextFile | None = None) -> Block:
    """Records of lines. ``text`` tells what a line takes in its file, where that is not its length."""
    records = [line for line in block.lines if line.strip(b" \r")]
    measure = len if text is None or text.encoding == "utf-8" else text.measure
    blank = sum(measure(line) for line in block.lines if not line.strip(b" \r")) if len(records) < len(block.lines) else 0
    ends = (len(block.lines) - block.is_cut) * measure(b"\n")
    return Block(records=records, sizes=list(map(measure, records)), place=place, other={SEPARATORS: ends, BLANK: blank})


def _read_split(stream: ByteStream, path: str, start: int, end: int, size: int) -> Iterator[bytes]:
    """From the first line that begins in the split to the end of the last one."""
    at = max(0, start - 1)
    is_begun = start == 0
    block = b"\n"
    for block in read_range(stream, path, at, end):
        if not is_begun:
            _, line_end, begun = block.partition(b"\n")
            is_begun = bool(line_end)
            yield begun
        else:
            yield block
    if is_begun and not block.endswith(b"\n"):
        yield from _read_to_line_end(stream, path, end, is_last=end == size)


def _read_to_line_end(stream: ByteStream, path: str, at: int, *, is_last: bool) -> Iterator[bytes]:
    while block := stream.read(BLOCK_BYTES):
        if is_last:
            raise changed_size(path, at, at + len(block))
        head, end, _ = bytes(block).partition(b"\n")
        yield head + end
        if end:
            return
