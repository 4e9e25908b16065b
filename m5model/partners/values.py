"""Values of attributes in one spelling: case, widths, accents, numbers, units, and words that a language writes in two ways.

``normalise_value("1,5 Liter", "de")`` and ``normalise_value("1500ml", "en")`` are both ``1500 ml``.
"""

import re
import unicodedata
from collections.abc import Mapping
from functools import lru_cache

import numpy as np

from m5model.partners.units import UNITS

# Languages that write 1.234,5; the others write 1,234.5.
DECIMAL_COMMA = ("de", "es", "fr", "it", "nl", "pt", "tr")
AND: Mapping[str, str] = {
    "de": "und",
    "en": "and",
    "es": "y",
    "fr": "et",
    "it": "e",
    "nl": "en",
    "pt": "e",
    "tr": "ve",
    "ar": "و",
}
# Two spellings of one word; the right one is kept.
SPELLINGS: Mapping[str, Mapping[str, str]] = {
    "en": {
        "grey": "gray",
        "colour": "color",
        "coloured": "colored",
        "multicolour": "multicolor",
        "multicoloured": "multicolored",
        "fibre": "fiber",
        "aluminium": "aluminum",
        "jewellery": "jewelry",
        "flavour": "flavor",
        "flavoured": "flavored",
        "centre": "center",
        "tyre": "tire",
        "pyjamas": "pajamas",
        "organiser": "organizer",
        "odourless": "odorless",
    },
    "de": {"photo": "foto", "delphin": "delfin"},
    "pt": {"actual": "atual", "electrico": "eletrico", "optico": "otico"},
}
UMLAUTS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue"})  # German writes either
ARABIC = str.maketrans({"أ": "ا", "إ": "ا", "آ": "ا", "ى": "ي", "ة": "ه", "ـ": None, "٫": ".", "٬": ","})
SIGNS = str.maketrans(
    {"™": None, "®": None, "©": None, "'": None, "’": None, "`": None, "″": '"', "”": '"', "“": '"', "×": "x"}
)
HIRAGANA = {code: code + 0x60 for code in range(0x3041, 0x3097)}  # to katakana

_UNIT = "|".join(map(re.escape, sorted(UNITS, key=len, reverse=True)))
_NUMBER = r"\d+(?:[.,]\d+)*"
# One number or several (10 x 20 cm, 5-7 kg) before a unit. "2 in 1" holds no inches.
MEASURE = re.compile(
    rf"(?<![\w.,])({_NUMBER}(?:\s*(?:x|-|–|bis|to)\s*{_NUMBER})*)[\s-]*(\"|(?:fl\.?|fluid)\s*(?:oz|ounces?)|(?:{_UNIT})(?![^\W\d_]))"
    r"(?!\s*(?:-\s*)?\d+(?!\w*[.,x]))"
)
PLAIN = re.compile(rf"(?<![\w.,])({_NUMBER})(?![\w])")
NUMBERS = re.compile(_NUMBER)
KEPT_SIGNS = '%+/."'


@lru_cache(65_536)
def normalise_value(value: str | None, language: str | None = None) -> str:
    """The value as values are compared; "" of nothing. ``language`` (ISO 639-1) decides on numbers and spellings."""
    text = _fold(value or "", language)
    text = MEASURE.sub(lambda found: f" {_measure(found[1], found[2], language)} ", text)
    text = PLAIN.sub(lambda found: _number(found[1], language), text)
    text = re.sub(r"(?<=\d)\s+%", "%", text)
    words = "".join(one if one.isalnum() or one in KEPT_SIGNS or _is_mark(one) else " " for one in text).split()
    spelled = SPELLINGS.get(language or "", {})
    return " ".join(spelled.get(word, word) for word in (word.strip('./"') for word in words) if word)


def _fold(value: str, language: str | None) -> str:
    """Case, widths, digits and accents."""
    text = unicodedata.normalize("NFKC", value.translate(SIGNS)).casefold().replace("ı", "i")
    text = "".join(str(unicodedata.digit(one, one)) if one.isdigit() else one for one in text)
    if language == "de":
        text = text.translate(UMLAUTS)
    if "&" in text and language is not None and language in AND:
        text = text.replace("&", f" {AND[language]} ")
    return _without_accents(text.translate(ARABIC).translate(HIRAGANA))


def _without_accents(text: str) -> str:
    """Without the marks of Latin letters, and the vowel marks of Arabic; Japanese voicing marks are part of a letter."""
    kept: list[str] = []
    for one in unicodedata.normalize("NFD", text):
        if unicodedata.combining(one) and (not kept or _is_latin(kept[-1]) or "\u064b" <= one <= "\u065f"):
            continue
        kept.append(one)
    return unicodedata.normalize("NFC", "".join(kept))


def _is_latin(character: str) -> bool:
    return "a" <= character <= "\u024f"


def _is_mark(character: str) -> bool:
    return unicodedata.category(character) in ("Mn", "Lm")


def _measure(numbers: str, unit: str, language: str | None) -> str:
    """Numbers and a base unit; ranges and sides are kept as such."""
    name = "in" if unit == '"' else "floz" if unit.startswith("fl") else unit
    base, worth = UNITS[name]
    return f"{NUMBERS.sub(lambda found: _number(found[0], language, worth), numbers).replace(' ', '')} {base}"


def _number(text: str, language: str | None, worth: float = 1.0) -> str:
    """The number, times ``worth``: to four digits where that is no power of ten, so that a pound and 16 ounces are one."""
    value = _read(text, "," if language in DECIMAL_COMMA else ".")
    if value is None:
        return text
    digits = 12 if float(np.log10(worth)).is_integer() else 4
    return f"{float(f'{value * worth:.{digits}g}'):.12g}"


def _read(text: str, decimal: str) -> float | None:
    """The number that a text of digits, points and commas states; None where it states several (1.2.3)."""
    other = "," if decimal == "." else "."
    separators = [one for one in text if not one.isdigit()]
    if len(set(separators)) == 2:  # the last one is the decimal one
        decimal, other = separators[-1], separators[0]
    elif separators and _is_grouped(text, separators[0]) and (separators[0] == other or len(separators) > 1):
        return float(text.replace(separators[0], ""))
    elif separators and len(separators) == 1:
        decimal, other = separators[0], ""
    plain = text.replace(other, "") if other else text
    return float(plain.replace(decimal, ".")) if plain.count(decimal) <= 1 else None


def _is_grouped(text: str, separator: str) -> bool:
    """Do digits stand in threes behind the separator?"""
    first, *rest = text.split(separator)
    return 1 <= len(first) <= 3 and first != "0" and all(len(part) == 3 for part in rest)
