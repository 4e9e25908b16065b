"""The language of a text of which the locale is known: the detector's scores, what the locale speaks, and the title's script.

Bayes' rule: the odds of a language before the text is read are declared here, by its place among the locale's languages
(schemas.locales). The odds and the temperature were chosen on one half of real listings and measured on the other:
benchmarks/languages.py, docs/decisions/2026-11-27-languages-of-listings.md.
"""

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from math import log

import numpy as np
from numpy.typing import NDArray

from schemas.locales import LOCALES
from spark.ingest.cleaning.detection import choose_languages, load_model, score_texts

OWN_ODDS = 50.0  # of a language that the locale speaks, against one that it does not
FIRST_ODDS = 30.0  # of its most usual language, against its others
TEMPERATURE = 0.4  # of the detector's scores: with it, of the texts at a confidence of 0.8, eight in ten are right

_ARABIC, _JAPANESE = re.compile("[\u0621-\u064a]"), re.compile("[\u3041-\u30ff\u4e00-\u9fff]")
_LATIN = re.compile("[A-Za-z\u00c0-\u024f]")
NOT_LATIN = frozenset(("ar", "ja"))
LETTERS_OF_A_WORD = 3  # Latin ones, that say as much as one of kana or ideographs
_RULED_OUT = np.float32(-1e4)


def detect_for_locales(texts: Sequence[str], titles: Sequence[str], locales: Sequence[str | None]) -> list[tuple[str, float]]:
    """Language and calibrated confidence of each text; ``titles`` are those that the texts begin with."""
    if not texts:
        return []
    scores = score_texts(texts) / np.float32(TEMPERATURE)
    for i, locale in enumerate(locales):
        if speaks_no_latin(locale):
            _spare_brands(scores[i], locale)
    scores += np.stack([log_odds(locale) for locale in locales])
    for i, title in enumerate(titles):
        if not title.isascii():
            _let_script_decide(scores[i], title)
    return choose_languages(scores)


@lru_cache(maxsize=64)
def log_odds(locale: str | None) -> NDArray[np.float32]:
    """By language, before the text is read."""
    own = LOCALES[locale].languages if locale in LOCALES else ()
    odds = [
        (OWN_ODDS * (FIRST_ODDS if language == own[0] else 1.0)) if language in own else 1.0
        for language in load_model().languages
    ]
    return np.array([log(value) for value in odds], dtype=np.float32)


def _let_script_decide(scores: NDArray[np.float32], title: str) -> None:
    """Rules languages out by the letters of a title that is not all Latin, in place.

    Arabic or not is what most letters are. One of kana or ideographs weighs more than a Latin letter, and a title with some may
    be Japanese in any case: brands are written in Latin letters. A category may be in another language than its listings, so it
    has no say.
    """
    arabic, japanese, latin = (len(letters.findall(title)) for letters in (_ARABIC, _JAPANESE, _LATIN))
    if arabic and arabic >= latin:
        _keep(scores, lambda language: language == "ar")
    elif japanese and LETTERS_OF_A_WORD * japanese >= latin:
        _keep(scores, lambda language: language == "ja")
    elif arabic:
        _keep(scores, lambda language: language != "ar")


@lru_cache(maxsize=64)
def speaks_no_latin(locale: str | None) -> bool:
    """All languages of the locale are written in another script."""
    return locale in LOCALES and NOT_LATIN.issuperset(LOCALES[locale].languages)


def _spare_brands(scores: NDArray[np.float32], locale: str | None) -> None:
    """Names in Latin letters say as much for such a locale's languages as for a Latin one in the mean. In place."""
    languages = load_model().languages
    mean = np.mean([score for language, score in zip(languages, scores, strict=True) if language not in NOT_LATIN])
    for i, language in enumerate(languages):
        if locale in LOCALES and language in LOCALES[locale].languages:
            scores[i] = max(scores[i], mean)


def _keep(scores: NDArray[np.float32], is_possible: Callable[[str], bool]) -> None:
    for i, language in enumerate(load_model().languages):
        if not is_possible(language):
            scores[i] = _RULED_OUT
