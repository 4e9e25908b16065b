"""Reads JSON that is no JSON Lines: an array of objects, objects one behind the other, over several lines each, or wrapped.

An object that is no JSON is a damaged region. It ends before the next object that has names which the ones before have.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import msgspec

from m5model.feeds.blocks import HEADER, SEPARATORS, Block
from m5model.feeds.compression import BLOCK_BYTES
from m5model.feeds.json_patterns import OBJECT
from m5model.feeds.json_wrappers import Wrapper, find_wrapper
from m5model.feeds.opening import HEAD_BYTES, UTF_8_MARK, TextFile
from m5model.feeds.windows import Window
from schemas.listing import FEED_FIELDS
from schemas.reject import MAX_RECORD_BYTES

# A record is taken into memory up to here; one of more than MAX_RECORD_BYTES is kept, but not parsed.
MAX_OBJECT_BYTES = 16 * MAX_RECORD_BYTES
BLOCK_RECORDS = 2_000
DAMAGED, CUT = "invalid_record", "truncated_record"

SEPARATOR, COMMAS = re.compile(rb"[\s,\[\]\x1e]*+"), re.compile(rb"[\s,\x1e]*+")
MAX_TAIL_BYTES = 1 << 20  # of an object behind its records
NEXT_OBJECT = re.compile(rb'\{\s*"')


@dataclass(frozen=True)
class _Found:
    """A record, or a damaged region."""

    text: bytes
    damage: str | None = None


def read_json_values(text: TextFile) -> Iterator[Block]:
    """All objects of an open file."""
    reader = _Reader(text)
    while not reader.is_done:
        yield reader.read_block()


class _Reader:
    """Reads a file's objects, within wrappers (json_wrappers) where it has some."""

    def __init__(self, text: TextFile) -> None:
        self._text, self._window, self._known = text, Window(text), frozenset(FEED_FIELDS)
        self._window.fill()
        self._mark = self._window.take(len(UTF_8_MARK) if text.head.startswith(UTF_8_MARK) else 0)
        self._wrapper: Wrapper | None = None
        self._depth = 0  # of arrays that are open
        self._is_cut = False
        self.is_done = False

    def read_block(self) -> Block:
        place, separators, header, found = self._window.place + self._window.at, 0, self._take_mark(), list[_Found]()
        header += self._open_wrapper()
        while len(found) < BLOCK_RECORDS and not self.is_done:
            separators += self._take_between()
            if self._is_at_end_of_list():
                header += self._close_wrapper()
            elif self._window.size == 0 and not self._window.fill():
                self.is_done = True
                # An array without an end was cut, maybe between two objects.
                found += [_Found(b"", CUT)] if self._depth > 0 and not self._is_cut else []
            else:
                found.append(self._take_object())
        return _make_block(self._text, found, place, separators, header)

    def _take_mark(self) -> int:
        mark, self._mark = self._mark, b""
        return self._text.measure(mark)

    def _open_wrapper(self) -> int:
        """Bytes before the list of records, where one lies in an object that begins here."""
        if self._wrapper is not None or self._depth > 0:
            return 0
        window = self._window
        while window.size < HEAD_BYTES and window.fill():
            pass
        self._wrapper = find_wrapper(window.data[window.at :], self._text.path)
        if self._wrapper is None:
            return 0
        self._depth += 1
        self._text.note(f"records in {self._wrapper.name}")
        blank = len(window.data) - window.at - len(window.data[window.at :].lstrip())
        return self._text.measure(window.take(window.at + blank + len(self._wrapper.head)))

    def _close_wrapper(self) -> int:
        """Bytes behind the list of records, where it ends here, and before the next."""
        wrapper, window = self._wrapper, self._window
        self._wrapper = None
        if wrapper is None:
            return 0
        while (end := wrapper.find_end(window.data, window.at, self._text.path)) is None:
            if window.size > MAX_TAIL_BYTES or not window.fill():
                return 0  # a bracket that damage has made
        self._depth = 0
        return self._text.measure(window.take(end)) + self._open_wrapper()

    def _take_between(self) -> int:
        """Bytes of separators; those of lists only where no wrapper's list may end."""
        between = _take_separators(self._window, SEPARATOR if self._wrapper is None else COMMAS)
        self._depth += between.count(b"[") - between.count(b"]")
        return self._text.measure(between)

    def _is_at_end_of_list(self) -> bool:
        return self._wrapper is not None and self._window.data[self._window.at : self._window.at + 1] == b"]"

    def _take_object(self) -> _Found:
        found = _take_object(self._window, self._known)
        self._is_cut = found.damage == CUT
        if found.damage is None and (names := _names_of(found.text)):
            self._known = names
        return found


def _make_block(text: TextFile, found: list[_Found], place: int, separators: int, header: int) -> Block:
    damage = {i: record.damage for i, record in enumerate(found) if record.damage}
    return Block(
        records=[text.restore(record.text) if record.damage else record.text for record in found],
        sizes=[text.measure(record.text) for record in found],
        place=place,
        damage=damage,
        lines={i: lines for i in damage if (lines := found[i].text.count(b"\n") + 1) > 1},
        other={SEPARATORS: separators, HEADER: header},
    )


def _take_separators(window: Window, pattern: re.Pattern[bytes]) -> bytes:
    parts = []
    while window.size or window.fill():
        found = pattern.match(window.data, window.at)
        parts.append(window.take(found.end() if found else window.at))
        if window.size:
            break
    return b"".join(parts)


def _take_object(window: Window, known: frozenset[str]) -> _Found:
    if window.data[window.at : window.at + 1] != b"{":
        return _take_region(window, known, DAMAGED)
    while True:
        found = OBJECT.match(window.data, window.at)
        if found is not None:
            return _Found(window.take(found.end()))
        if window.size <= MAX_RECORD_BYTES and window.fill():
            continue
        # Something behind it reads as an object of this feed: then this one is damaged, and not cut by the window.
        if window.size > MAX_OBJECT_BYTES or _find_next(window, known) is not None or not window.fill():
            return _take_region(window, known, CUT if window.is_whole else DAMAGED)


def _take_region(window: Window, known: frozenset[str], damage: str) -> _Found:
    """Up to the next object of this feed, or to the end of what is there."""
    while (end := _find_next(window, known)) is None and window.size < BLOCK_BYTES and window.fill():
        pass
    if end is not None:
        damage = DAMAGED
    region = window.take(len(window.data) if end is None else end)
    return _Found(region, damage)


def _find_next(window: Window, known: frozenset[str]) -> int | None:
    for begun in NEXT_OBJECT.finditer(window.data, window.at + 1):
        found = OBJECT.match(window.data, begun.start())
        if found is not None and len(_names_of(found[0]) & known) * 2 >= min(len(known), 4):
            return begun.start()
    return None


def _names_of(record: bytes) -> frozenset[str]:
    try:
        return frozenset(_decode(record))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return frozenset()


_decode = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def count_objects(text: bytes) -> int:
    """Counts the objects that ``text`` holds, one behind the other."""
    return sum(bool(_names_of(found[0])) for found in OBJECT.finditer(text))
