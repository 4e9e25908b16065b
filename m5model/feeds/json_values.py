"""Reads JSON that is no JSON Lines: an array of objects, objects one behind the other, or over several lines each.

An object that is no JSON is a damaged region. It ends before the next object that has names which the ones before have.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import msgspec

from m5model.feeds.blocks import HEADER, SEPARATORS, Block
from m5model.feeds.compression import BLOCK_BYTES
from m5model.feeds.opening import UTF_8_MARK, TextFile
from m5model.feeds.windows import Window
from schemas.listing import FEED_FIELDS
from schemas.reject import MAX_RECORD_BYTES

DEPTH = 8  # levels of objects and lists in a record
# A record is taken into memory up to here; one of more than MAX_RECORD_BYTES is kept, but not parsed.
MAX_OBJECT_BYTES = 16 * MAX_RECORD_BYTES
BLOCK_RECORDS = 2_000
DAMAGED, CUT = "invalid_record", "truncated_record"

SEPARATOR = re.compile(rb"[\s,\[\]\x1e]*+")
NEXT_OBJECT = re.compile(rb'\{\s*"')


def _object_pattern() -> re.Pattern[bytes]:
    text = rb'"(?:[^"\\\x00-\x1f]++|\\.)*+"'
    inside = rb'(?:[^{}\[\]"]++|' + text + rb")*+"
    for _ in range(DEPTH):
        inside = rb'(?:[^{}\[\]"]++|' + text + rb"|[{\[]" + inside + rb"[}\]])*+"
    return re.compile(rb"\{" + inside + rb"\}")


OBJECT = _object_pattern()


@dataclass(frozen=True)
class _Found:
    """A record, or a damaged region."""

    text: bytes
    damage: str | None = None


def read_json_values(text: TextFile) -> Iterator[Block]:
    """All objects of an open file."""
    window, known = Window(text), frozenset(FEED_FIELDS)
    if text.head.startswith(UTF_8_MARK):
        window.fill()
        yield Block(other={HEADER: text.measure(window.take(len(UTF_8_MARK)))})
    is_done, is_cut, depth = False, False, 0
    while not is_done:
        place, separators, found = window.place + window.at, 0, list[_Found]()
        while len(found) < BLOCK_RECORDS and not is_done:
            between = _take_separators(window)
            separators += text.measure(between)
            depth += between.count(b"[") - between.count(b"]")
            if window.size == 0:
                is_done = True
                # An array without an end was cut, maybe between two objects.
                found += [_Found(b"", CUT)] if depth > 0 and not is_cut else []
            else:
                found.append(_take_object(window, known))
                is_cut = found[-1].damage == CUT
                if found[-1].damage is None and (names := _names_of(found[-1].text)):
                    known = names
        yield _make_block(text, found, place, separators)


def _make_block(text: TextFile, found: list[_Found], place: int, separators: int) -> Block:
    damage = {i: record.damage for i, record in enumerate(found) if record.damage}
    return Block(
        records=[text.restore(record.text) if record.damage else record.text for record in found],
        sizes=[text.measure(record.text) for record in found],
        place=place,
        damage=damage,
        lines={i: lines for i in damage if (lines := found[i].text.count(b"\n") + 1) > 1},
        other={SEPARATORS: separators},
    )


def _take_separators(window: Window) -> bytes:
    parts = []
    while window.size or window.fill():
        found = SEPARATOR.match(window.data, window.at)
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
