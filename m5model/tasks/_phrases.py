"""Finds phrases in texts, such as a brand or an attribute's value, as they are written there."""

import re
import unicodedata
from functools import lru_cache


def find_phrase(text: str, phrase: str) -> list[tuple[int, int]]:
    """Finds ``phrase`` in ``text``: start and end in characters, in whatever case and with any blanks or hyphens."""
    return [found.span() for found in _pattern(phrase).finditer(text)] if phrase.strip() else []


def take_out(text: str, phrase: str) -> str:
    """Returns ``text`` without any occurrence of ``phrase``."""
    return " ".join(_pattern(phrase).sub(" ", text).split()) if phrase.strip() else text


@lru_cache(4_096)
def _pattern(phrase: str) -> re.Pattern[str]:
    words = re.split(r"[\s\-]+", phrase.strip())
    body = r"[\s\-]*".join(map(re.escape, words))
    before = r"(?<!\w)" if _is_spaced(phrase.strip()[0]) else ""
    after = r"(?!\w)" if _is_spaced(phrase.strip()[-1]) else ""
    return re.compile(f"{before}{body}{after}", re.IGNORECASE)


def _is_spaced(character: str) -> bool:
    """Is it a letter or digit of a script that has blanks between words? Japanese has none."""
    return character.isalnum() and unicodedata.east_asian_width(character) not in ("W", "F")
