"""The language of each listing: what the feed declares, else what the text and the locale say.

The locale's own languages come first, the most usual one foremost; another takes strong evidence from the text
(spark.ingest.cleaning.locale_languages). Between languages of two scripts the title's letters decide. A declaration is checked
by script alone; a disagreement is a warning (schemas.listing.WARNINGS), never a rejection.
"""

import re
from collections.abc import Collection, Sequence

from schemas.locales import LOCALES
from spark.ingest.cleaning.locale_languages import detect_for_locales

# The detector gains nothing from more text than this.
DETECTION_CHARACTERS = 150
# A detection below this is not held against a locale: titles of two words and a brand say little.
CONFIDENT = 0.9

# A text is in such a script where it has several of its letters in a row: a brand's one sign is not a language.
SCRIPTS = {"ar": "[\u0621-\u064a]{3}", "ja": "[\u3041-\u30ff\u4e00-\u9fff]{2}"}
LATIN = "[A-Za-z\u00c0-\u024f]{3}"
SPOKEN = frozenset((locale.code, language) for locale in LOCALES.values() for language in locale.languages)

_latin, _any_script = re.compile(LATIN), re.compile("|".join(SCRIPTS.values()))
_scripts = {language: re.compile(letters) for language, letters in SCRIPTS.items()}


def fill_languages(
    declared: Sequence[str | None],
    locales: Sequence[str | None],
    titles: Sequence[str | None],
    categories: Sequence[str | None],
    descriptions: Sequence[str | None],
    rejected: Collection[int],
) -> tuple[list[str | None], list[float | None]]:
    """Detects the language of each good record that has text and declares none.

    Returns languages, and the confidence in those that were detected. ``rejected`` are positions.
    """
    languages: list[str | None] = list(declared)
    confidences: list[float | None] = [None] * len(languages)
    if None not in languages:
        return languages, confidences
    undeclared = (i for i, language in enumerate(languages) if language is None and i not in rejected)
    texts = {i: text for i in undeclared if (text := text_to_detect(titles[i], categories[i], descriptions[i]))}
    found = detect_for_locales(list(texts.values()), [titles[i] or "" for i in texts], [locales[i] for i in texts])
    for i, (language, probability) in zip(texts, found, strict=True):
        languages[i], confidences[i] = language, round(probability, 4)
    return languages, confidences


def text_to_detect(title: str | None, category: str | None, description: str | None) -> str:
    """The part of a listing that is enough to tell its language; empty where it has no text.

    A category says more than a description: that may be in several languages.
    """
    return " ".join(text for text in (title, category or description) if text)[:DETECTION_CHARACTERS]


def find_warnings(
    locales: Sequence[str | None],
    languages: Sequence[str | None],
    titles: Sequence[str | None],
    confidences: Sequence[float | None],
) -> list[Sequence[str]]:
    """Returns names from schemas.listing.WARNINGS for each listing. Confidences are None where the language was declared."""
    warnings: list[Sequence[str]] = [()] * len(locales)
    rows = enumerate(zip(locales, languages, titles, strict=True))
    unusual = [
        i
        for i, (locale, language, title) in rows
        if language in SCRIPTS or not (title is None or title.isascii()) or (locale, language) not in SPOKEN
    ]
    for i in unusual:
        warnings[i] = _find_warnings(locales[i], languages[i], titles[i], confidences[i])
    return warnings


def _find_warnings(locale: str | None, language: str | None, title: str | None, confidence: float | None) -> list[str]:
    warnings = []
    if confidence is None and title is not None and _is_in_another_script(title, language):
        warnings.append("language_disagrees")
    if (locale, language) not in SPOKEN and (confidence is None or confidence >= CONFIDENT):
        warnings.append("language_not_of_locale")
    return warnings


def _is_in_another_script(title: str, language: str | None) -> bool:
    """The title has letters of another script and none of the declared language's own."""
    own = _scripts.get(language or "")
    if own is not None:
        return not own.search(title) and _latin.search(title) is not None
    return not (title.isascii() or _latin.search(title)) and _any_script.search(title) is not None
