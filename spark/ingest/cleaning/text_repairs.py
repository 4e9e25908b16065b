"""Repairs of one record's texts, in plain Python. Each is named, see schemas.reject.REPAIRS.

``repair_record`` is a fixed point: what it returns, it returns unchanged. A record whose texts are all clear at the first look
(spark.ingest.reading.quick_check) never comes here.
"""

import html
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from spark.ingest.cleaning.mixed_charsets import undo_mixed_charsets
from spark.ingest.reading.quick_check import ENTITY, TAG, is_clear

# A lead byte of UTF-8 read as Latin-1 or cp1252, followed by what a continuation byte becomes there.
CONTINUATION = (
    "\u0080-\u00bf\u0152\u0153\u0160\u0161\u0178\u017d\u017e\u0192\u02c6\u02dc\u2013\u2014"
    "\u2018-\u201e\u2020-\u2022\u2026\u2030\u2039\u203a\u20ac\u2122"
)
MOJIBAKE = f"[\u00c2-\u00f4][{CONTINUATION}]"
# Combining marks that compose with a letter before them, and characters whose canonical form is another character.
COMPOSABLE = "\u0300-\u036f\u0653-\u0655\u3099\u309a\u1161-\u11ff\u2126\u212a\u212b\uf900-\ufaff"
CONTROL = "\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u0084\u0086-\u009f\ufeff\ufffe\uffff"
SPACE = "\t\n\r\u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"

# Lower-case spelling → the one spelling. Units whose case tells them apart from something else (5G, size 3L, 2M) are absent.
UNITS = {
    unit.lower(): unit
    for unit in (
        "kg",
        "mg",
        "ml",
        "cl",
        "dl",
        "mm",
        "cm",
        "km",
        "oz",
        "lb",
        "lbs",
        "kW",
        "Hz",
        "MHz",
        "GHz",
        "MB",
        "GB",
        "TB",
        "mAh",
    )
}
QUANTITY = f"([0-9]{{1,9}})(?:([.,])([0-9]{{1,9}}))? ?({'|'.join(UNITS)})"

_mojibake = re.compile(MOJIBAKE)
_composable = re.compile(f"[{COMPOSABLE}]")
_control = re.compile(f"[{CONTROL}]")
_spaces = re.compile(f"[ {SPACE}]+")
_quantity = re.compile(QUANTITY, re.IGNORECASE | re.ASCII)  # else a long s is an s

# Every round takes something away or composes it; nested entities and twofold mojibake need a round each.
_MAX_ROUNDS = 20


@dataclass(frozen=True)
class RepairedRecord:
    """A record's texts after repairs; None where nothing was left."""

    texts: dict[str, str | None]
    bullets: list[str] | None
    attributes: dict[str, str] | None
    repairs: list[str]


def repair_record(
    texts: Mapping[str, str | None], bullets: Sequence[str | None] | None, attributes: Sequence[tuple[str, str | None]] | None
) -> RepairedRecord:
    """All texts repaired; empty bullets and attributes without name or value left out; attributes in order of their names."""
    found: set[str] = set()
    fixed = {name: repair_text(text, found) for name, text in texts.items()}
    points = None if bullets is None else [point for point in (repair_text(text, found) for text in bullets) if point]
    pairs = None
    if attributes is not None:
        repaired = ((repair_text(name, found), repair_quantity(repair_text(value, found), found)) for name, value in attributes)
        pairs = dict(sorted((name, value) for name, value in repaired if name and value))
    return RepairedRecord(fixed, points, pairs, sorted(found))


def repair_text(text: str | None, found: set[str]) -> str | None:
    """The text repaired, null where nothing is left; the names of the repairs made are added to ``found``."""
    if text is None:
        return None
    if is_clear(text):
        return text
    for _ in range(_MAX_ROUNDS):
        before = text
        for name, repair in STEPS:
            repaired = repair(text)
            if repaired != text:
                found.add(name)
                text = repaired
        if text == before:
            break
    return text or None


def is_misspelled(value: str) -> bool:
    """A number with a unit that is not in the one spelling."""
    return repair_quantity(value, set()) != value


def repair_quantity(value: str | None, found: set[str]) -> str | None:
    """``1,5KG`` → ``1.5 kg`` where number and unit are the whole value. ``1,500 kg`` may be either number: left as it is."""
    match = _quantity.fullmatch(value) if value else None
    if match is None or (match[2] == "," and len(match[3]) == 3):
        return value
    number = f"{match[1]}.{match[3]}" if match[3] else match[1]
    spelled = f"{number} {UNITS[match[4].lower()]}"
    if spelled != value:
        found.add("units")
    return spelled


def _undo_mojibake(text: str) -> str:
    text = undo_mixed_charsets(text)
    if not _mojibake.search(text):
        return text
    from ftfy import fix_encoding

    return str(fix_encoding(text))


def _resolve_html(text: str) -> str:
    if "&" in text:
        text = ENTITY.sub(lambda match: html.unescape(match[0]), text)
    return TAG.sub(" ", text) if "<" in text else text


def _compose(text: str) -> str:
    return unicodedata.normalize("NFC", text) if _composable.search(text) else text


STEPS = (
    ("html", _resolve_html),
    ("mojibake", _undo_mojibake),
    ("control_characters", lambda text: _control.sub("", text)),
    ("unicode_nfc", _compose),
    ("whitespace", lambda text: _spaces.sub(" ", text).strip(" ")),
)
