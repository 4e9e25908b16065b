"""Lexical evidence that two texts name the same product: words, numbers, codes and units that they share or do not.

All are numbers of one pair of texts; NaN where a text has nothing of the kind.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from rapidfuzz import fuzz
from rapidfuzz.distance import JaroWinkler

WORDS = re.compile(r"\w+")
# A number and its unit, written together or apart: 32 GB, 2.4GHz, 15,6".
UNITS = 'tb|gb|mb|kb|ghz|mhz|hz|mah|kw|w|v|mm|cm|m|km|inch|in|"|ft|ml|cl|l|oz|lb|lbs|kg|mg|g|mp|fps|rpm|pcs|pack|x'
MEASURE = re.compile(rf"(\d+(?:[.,]\d+)?)\s?({UNITS})(?!\w)", re.IGNORECASE)
CODE_CHARACTERS = 4  # letters and digits in one word, at least so many: a model number more often than not
SEPARATORS = re.compile(r"[-_/.]")
FUZZ_CHARACTERS = 240  # what lies behind them is description, and comparing it is slow

NAMES = (
    "words_jaccard",
    "words_overlap",
    "words_left_in_right",
    "words_right_in_left",
    "numbers_jaccard",
    "numbers_left_only",
    "numbers_right_only",
    "codes_shared",
    "codes_conflict",
    "code_inside",
    "measures_jaccard",
    "measures_conflict",
    "rarest_shared",
    "rarest_left_only",
    "rarest_right_only",
    "title_words_jaccard",
    "title_ratio",
    "title_token_sort",
    "title_token_set",
    "title_partial",
    "title_jaro_winkler",
    "text_token_sort",
    "text_token_set",
    "text_partial",
    "length_ratio",
    "left_length",
    "right_length",
    "same_first_word",
)


@dataclass(frozen=True, kw_only=True)
class Parts:
    """A text taken apart, once for all pairs that it is in."""

    text: str
    title: str
    words: frozenset[str]
    title_words: frozenset[str]
    first: str
    numbers: frozenset[str]
    codes: frozenset[str]
    joined: str  # letters and digits of the title without anything between
    measures: frozenset[tuple[str, str]]


def take_apart(text: str) -> Parts:
    """The parts of a rendered text, whose first field is the title."""
    lower = text.casefold()
    title = lower.split(" | ", 1)[0]
    words, title_words = WORDS.findall(lower), WORDS.findall(title)
    whole = WORDS.findall(SEPARATORS.sub("", title))
    codes = {word for word in (*words, *whole) if len(word) >= CODE_CHARACTERS and _is_mixed(word)}
    measures = {(number.replace(",", "."), unit.lower()) for number, unit in MEASURE.findall(lower)}
    return Parts(
        text=lower[:FUZZ_CHARACTERS],
        title=title[:FUZZ_CHARACTERS],
        words=frozenset(words),
        title_words=frozenset(title_words),
        first=title_words[0] if title_words else "",
        numbers=frozenset(word for word in words if any(map(str.isdigit, word))),
        codes=frozenset(codes),
        joined="".join(title_words),
        measures=frozenset(measures),
    )


def compare_texts(left: Parts, right: Parts, rarity: Mapping[str, float], most: float) -> list[float]:
    """One number for each of NAMES. ``rarity`` of words that were never seen is ``most``."""

    def weight(words: frozenset[str]) -> float:
        return sum(rarity.get(word, most) for word in words)

    def rarest(words: frozenset[str]) -> float:
        return max((rarity.get(word, most) for word in words), default=0.0)

    shared = left.words & right.words
    together = weight(shared)
    alone = (left.words - shared, right.words - shared)
    totals = (weight(left.words), weight(right.words))
    return [
        _share(together, together + weight(alone[0]) + weight(alone[1])),
        _share(together, min(totals)),
        _share(together, totals[0]),
        _share(together, totals[1]),
        _jaccard(left.numbers, right.numbers),
        float(len(left.numbers - right.numbers)),
        float(len(right.numbers - left.numbers)),
        float(len(left.codes & right.codes)),
        float(bool(left.codes and right.codes and not left.codes & right.codes)),
        float(any(code in right.joined for code in left.codes) or any(code in left.joined for code in right.codes)),
        _jaccard(left.measures, right.measures),
        float(_conflict(left.measures, right.measures)),
        rarest(shared),
        rarest(alone[0]),
        rarest(alone[1]),
        _jaccard(left.title_words, right.title_words),
        fuzz.ratio(left.title, right.title),
        fuzz.token_sort_ratio(left.title, right.title),
        fuzz.token_set_ratio(left.title, right.title),
        fuzz.partial_ratio(left.title, right.title),
        JaroWinkler.similarity(left.title, right.title),
        fuzz.token_sort_ratio(left.text, right.text),
        fuzz.token_set_ratio(left.text, right.text),
        fuzz.partial_ratio(left.text, right.text),
        _share(min(len(left.title), len(right.title)), max(len(left.title), len(right.title))),
        float(len(left.words)),
        float(len(right.words)),
        float(left.first == right.first),
    ]


def _is_mixed(word: str) -> bool:
    return any(map(str.isdigit, word)) and any(map(str.isalpha, word))


def _share(part: float, whole: float) -> float:
    return part / whole if whole else np.nan


def _jaccard(left: frozenset[object] | frozenset[str] | frozenset[tuple[str, str]], right: frozenset[object]) -> float:
    return _share(len(left & right), len(left | right))


def _conflict(left: frozenset[tuple[str, str]], right: frozenset[tuple[str, str]]) -> int:
    """Units that both texts have, with no number in common."""
    units = {unit for _, unit in left} & {unit for _, unit in right}
    return sum(not ({one for one in left if one[1] == unit} & {one for one in right if one[1] == unit}) for unit in units)
