"""Repairs of one record's texts, in plain Python. Each is named, see schemas.reject.REPAIRS.

``repair_record`` is a fixed point: what it returns, it returns unchanged. A record whose texts are all clear at the first look
(spark.ingest.reading.quick_check) never comes here. What no repair is sure of stays, with a warning.
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import cast

from spark.ingest.cleaning.alphabets import ALL_LANGUAGES
from spark.ingest.cleaning.damage import is_damaged
from spark.ingest.cleaning.legacy_charsets import restore_signs, undo_legacy_charsets
from spark.ingest.cleaning.lost_letters import REPLACEMENT, share_lost
from spark.ingest.cleaning.markup import resolve_escapes, resolve_html
from spark.ingest.cleaning.mojibake import is_decoded_whole, undo_mojibake
from spark.ingest.reading.quick_check import is_clear

# Combining marks that compose with a letter before them, and characters whose canonical form is another character.
COMPOSABLE = "\u0300-\u036f\u0653-\u0655\u3099\u309a\u1161-\u11ff\u2126\u212a\u212b\uf900-\ufaff"
# C1 controls are none of these: they are letters and signs that were read in a wrong character set.
CONTROL = "\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f\ufeff\ufffe\uffff"
SPACE = "\t\n\r\u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
SURROGATE = "\ud800-\udfff"

NAMES = frozenset(("title", "brand", "category"))  # fields that ask no questions

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

_composable = re.compile(f"[{COMPOSABLE}]")
_control = re.compile(f"[{CONTROL}]")
_spaces = re.compile(f"[ {SPACE}]+")
_odd_spaces = re.compile(f"[{SPACE}]|  ")
_surrogate = re.compile(f"[{SURROGATE}]")
_quantity = re.compile(QUANTITY, re.IGNORECASE | re.ASCII)  # else a long s is an s

# Every round takes something away or composes it; nested entities and twofold mojibake need a round each.
_MAX_ROUNDS = 20


@dataclass(frozen=True, kw_only=True)
class RepairedRecord:
    """A record's texts after repairs; None where nothing was left."""

    texts: dict[str, str | None]
    bullets: list[str] | None
    attributes: dict[str, str] | None
    repairs: list[str]
    fields: list[str] = field(default_factory=list)  # FIELD:REPAIR
    damaged: list[str] = field(default_factory=list)  # fields that look damaged though nothing is sure
    lost: dict[str, float] = field(default_factory=dict)  # field → share of its letters that are gone


@dataclass
class Findings:
    """Repairs made and damage found, by field."""

    repairs: dict[str, set[str]] = field(default_factory=dict)
    damaged: set[str] = field(default_factory=set)
    lost: dict[str, float] = field(default_factory=dict)

    def examine(self, name: str, text: str, languages: frozenset[str]) -> None:
        """Note what is left of damage in a repaired text that is not clear."""
        if share := share_lost(text, is_name=name in NAMES):
            self.lost[name] = round(max(share, self.lost.get(name, 0.0)), 4)
        if is_damaged(text, languages):
            self.damaged.add(name)


def repair_record(
    texts: Mapping[str, str | None],
    bullets: Sequence[str | None] | None,
    attributes: Sequence[tuple[str, str | None]] | None,
    languages: frozenset[str] = ALL_LANGUAGES,
) -> RepairedRecord:
    """All texts repaired; empty bullets and attributes without name or value left out; attributes in order of their names.

    ``languages`` are those that the listing may be written in.
    """
    findings = Findings()

    def repair(name: str, text: str | None) -> str | None:
        if text is None or is_clear(text):
            return text
        repaired = _repair_unclear(text, findings.repairs.setdefault(name, set()), languages)
        if repaired is not None and (repaired == text or not is_clear(repaired)):
            findings.examine(name, repaired, languages)
        return repaired

    fixed = {name: repair(name, text) for name, text in texts.items()}
    points = None
    if bullets is not None:
        are_clear = _are_clear(bullets)
        points = [point for point in (text if are_clear else repair("bullets", text) for text in bullets) if point]
    pairs = None
    if attributes is not None:
        found = findings.repairs.setdefault("attributes", set())
        if not _are_clear(list(chain.from_iterable(attributes))):
            attributes = [(repair("attributes", name) or "", repair("attributes", value)) for name, value in attributes]
        repaired = ((name, repair_quantity(value, found)) for name, value in attributes)
        pairs = dict(sorted((name, value) for name, value in repaired if name and value))
    return RepairedRecord(
        texts=fixed,
        bullets=points,
        attributes=pairs,
        repairs=sorted(set().union(*findings.repairs.values())),
        fields=sorted(f"{name}:{made}" for name, found in findings.repairs.items() for made in found),
        damaged=sorted(findings.damaged),
        lost=findings.lost,
    )


def _are_clear(texts: Sequence[str | None]) -> bool:
    """Surely: joined by one blank, an empty or untrimmed text shows as two."""
    joined = "" if None in texts else " ".join(cast(Sequence[str], texts))
    return is_clear(joined)


def repair_text(text: str | None, found: set[str], languages: frozenset[str] = ALL_LANGUAGES) -> str | None:
    """The text repaired, null where nothing is left; the names of the repairs made are added to ``found``."""
    return text if text is None or is_clear(text) else _repair_unclear(text, found, languages)


def _repair_unclear(text: str, found: set[str], languages: frozenset[str]) -> str | None:
    for _ in range(_MAX_ROUNDS):
        before = text
        for name, repair in STEPS:
            repaired = repair(text, languages)
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


def _compose(text: str) -> str:
    return unicodedata.normalize("NFC", text) if _composable.search(text) else text


def _undo_charsets(text: str, languages: frozenset[str] = ALL_LANGUAGES) -> str:
    """Whole texts first: two bytes of a legacy set may be UTF-8 by chance, a whole text is not."""
    if text.isascii():
        return text
    if not is_decoded_whole(text, languages):
        text = undo_legacy_charsets(text, languages)
    return restore_signs(undo_mojibake(text, languages), languages)


def _join_spaces(text: str) -> str:
    return (_spaces.sub(" ", text) if _odd_spaces.search(text) else text).strip(" ")


def _replace_surrogates(text: str) -> str:
    """Half of a pair is no character: a letter is gone."""
    return text if text.isascii() else _surrogate.sub(REPLACEMENT, text)


STEPS = (
    ("surrogates", lambda text, _=ALL_LANGUAGES: _replace_surrogates(text)),
    ("html", lambda text, _=ALL_LANGUAGES: resolve_html(text)),
    ("escapes", resolve_escapes),
    ("mojibake", _undo_charsets),
    ("control_characters", lambda text, _=ALL_LANGUAGES: _control.sub("", text)),
    ("unicode_nfc", lambda text, _=ALL_LANGUAGES: _compose(text)),
    ("whitespace", lambda text, _=ALL_LANGUAGES: _join_spaces(text)),
)
