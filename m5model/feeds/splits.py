"""A feed's files are cut into splits, splits are dealt out to tasks, and a split is read by the reader of its form.

Plain files of JSON Lines and CSV are cut by bytes, files of Parquet by row groups; every other file is one split.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from m5model.feeds.blocks import BYTES, HEADER, Block
from m5model.feeds.charsets import sniff_charset
from m5model.feeds.compression import find_codec
from m5model.feeds.csv_form import CsvForm, find_csv_form
from m5model.feeds.csv_rows import read_csv_split, read_csv_text
from m5model.feeds.forms import is_json_lines, refuse_other_form
from m5model.feeds.json_lines import read_json_lines, read_json_text
from m5model.feeds.json_values import read_json_values
from m5model.feeds.json_wrappers import find_wrapper
from m5model.feeds.opening import HEAD_BYTES, TextFile, find_utf_16, open_at, open_text, refuse_other_unicode
from m5model.feeds.parquet_rows import count_rows, read_parquet_rows
from m5model.feeds.physical_lines import changed_size
from m5model.feeds.sources import CSV, JSON, PARQUET, XML, FeedFile
from m5model.feeds.xml_items import read_xml_items

MIN_TASK_BYTES, MAX_TASK_BYTES = 4 << 20, 128 << 20
# Finer than tasks, so that tasks are of one size whatever files are.
SPLITS_PER_TASK = 4
# Opening a file costs about as much as reading this.
OPENING_BYTES = 64 << 10


@dataclass(frozen=True, kw_only=True)
class Split:
    """A part of a file, or all of it where ``end`` is None: bytes, or row groups of Parquet, from ``start`` to ``end``."""

    file: FeedFile
    start: int = 0
    end: int | None = None
    csv_form: CsvForm | None = None  # of a CSV that is cut


def plan_tasks(files: Sequence[FeedFile], parallelism: int) -> list[list[Split]]:
    """Cuts files into splits and deals them out to tasks of about the same size, as many as fill whole rounds."""
    total = sum(file.size for file in files) + len(files) * OPENING_BYTES
    rounds = -(-total // (MAX_TASK_BYTES * parallelism))
    count = min(rounds * parallelism, -(-total // MIN_TASK_BYTES))
    tasks: dict[int, list[Split]] = {}
    before = 0
    for file in files:
        for split, cost in _cut(file, max(1, total // count // SPLITS_PER_TASK)):
            tasks.setdefault((before + cost // 2) * count // total, []).append(split)
            before += cost
    return list(tasks.values())


def read_split(split: Split) -> Iterator[Block]:
    """Returns the records of a split, and what its other bytes are.

    The totals of all blocks of a file are its bytes; its records and other bytes must add up to them. Raises BadDataError or
    ConfigurationError naming a file that cannot be read.
    """
    file = split.file
    if file.kind == PARQUET:
        groups = None if split.end is None else range(split.start, split.end)
        yield from read_parquet_rows(file.path, groups)
    elif split.end is None:
        with open_text(file.path, file.encoding, sniff=file.kind != XML) as text:
            yield from _read_text(text, file)
            if text.unit == BYTES and file.size not in (0, text.total):
                raise changed_size(file.path, file.size, text.total)
            yield Block(other={HEADER: text.mark_bytes}, total=text.total, unit=text.unit, read_as=", ".join(text.notes))
    else:
        yield Block(total=split.end - split.start)
        if split.csv_form is not None:
            yield from read_csv_split(file.path, split.csv_form, split.start, split.end, file.size)
        else:
            yield from read_json_lines(file.path, split.start, split.end, file.size)


def _read_text(text: TextFile, file: FeedFile) -> Iterator[Block]:
    refuse_other_form(text.head, file)
    if file.kind == CSV:
        return read_csv_text(text)
    if file.kind == XML:
        return read_xml_items(text)
    if is_json_lines(text.head) and find_wrapper(text.head, text.path) is None:
        return read_json_text(text)
    return read_json_values(text)


def _cut(file: FeedFile, wanted: int) -> Iterator[tuple[Split, int]]:
    """Splits with their costs in bytes."""
    pieces = -(-file.size // wanted)
    splits = [Split(file=file)]
    if pieces > 1 and file.kind == PARQUET:
        splits = _cut_groups(file, pieces)
    elif pieces > 1 and file.kind in (JSON, CSV):
        splits = _cut_bytes(file, pieces)
    for split in splits:
        yield split, file.size // len(splits) + (OPENING_BYTES if split.start == 0 else 0)


def _cut_groups(file: FeedFile, pieces: int) -> list[Split]:
    groups = len(count_rows(file.path))
    ends = sorted({groups * piece // pieces for piece in range(pieces + 1)})
    splits = [Split(file=file, start=start, end=end) for start, end in zip(ends, ends[1:], strict=False)]
    return splits or [Split(file=file)]


def _cut_bytes(file: FeedFile, pieces: int) -> list[Split]:
    """Returns one split where a file's form does not allow to begin in the middle."""
    with open_at(file.path, 0) as stream:
        head = bytes(stream.read(HEAD_BYTES))
    if find_codec(head) or file.encoding or find_utf_16(head) or sniff_charset(head):
        return [Split(file=file)]
    if file.kind == JSON and (not is_json_lines(head) or find_wrapper(head, file.path)):
        return [Split(file=file)]
    refuse_other_form(head, file)
    refuse_other_unicode(file.path, head)
    form = find_csv_form(head, file.path) if file.kind == CSV else None
    if file.kind == CSV and (form is None or not form.profile.columns):  # no line shows that a row begins
        return [Split(file=file)]
    body = form.body if form else 0
    ends = [0, *(end for piece in range(1, pieces) if (end := file.size * piece // pieces) > body), file.size]
    return [Split(file=file, start=start, end=end, csv_form=form) for start, end in zip(ends, ends[1:], strict=False)]
