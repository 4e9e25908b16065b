"""Letters of the ten languages: which characters a repaired text may hold, and which tell that a text is damaged."""

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache

from schemas.locales import LANGUAGES

# Letters beyond ASCII that words of the language are written with, loans that are in its dictionaries included.
_LOWER = {
    "ar": "",
    "de": "äöüßéèêàâçœ",
    "en": "éèêëçñöüäàâïîôûíáóœ",
    "es": "áéíñóúü",
    "fr": "àâæçéèêëîïôœùûüÿ",
    "it": "àèéìíîòóùú",
    "ja": "",
    "nl": "áàâäéèêëíïóôöúûüçœ",
    "pt": "ãáàâçéêíóôõúü",
    "tr": "çğıöşüâîûé",
}
_UPPER = {"de": "ÄÖÜẞÉÈÀÇ", "en": "É", "es": "ÁÉÍÑÓÚÜ", "nl": "ÉËÏÖÜÇ", "tr": "ÇĞİÖŞÜÂÎ"}  # the others: all of theirs
OWN = {language: frozenset(lower + _UPPER.get(language, lower.upper())) for language, lower in _LOWER.items()}

ARABIC = "\u0621-\u064a\u0660-\u0669"
ARABIC_MARKS = "\u064b-\u0652\u0670"
PERSIAN = "پچژڤڨکگی"  # letters that Arabic catalogues write foreign names with
KANA = "\u3041-\u3096\u309d-\u30ff"
IDEOGRAPHS = "\u3005\u3006\u4e00-\u9fff"
HALF_WIDTH_KANA = "\uff61-\uff9f"

_arabic = re.compile(f"[{ARABIC}{ARABIC_MARKS}{PERSIAN}\u0640]")
_SINGLE_GREEK = frozenset("ΩΔαβγδμπφω")  # signs of physics and of products, one at a time
_ARABIC_SIGNS = frozenset("،؛؟٪٫٬۔")
_FORMAT = frozenset("\u00ad\u200b\u200c\u200d\u200e\u200f\ufe0f\u2060")
_SIGN_CATEGORIES = frozenset(("Pc", "Pd", "Ps", "Pe", "Pi", "Pf", "Po", "Sm", "Sc", "Sk", "So", "No", "Zs"))

# Latin-1; punctuation to shapes and arrows; CJK; full width; emoji.
_SIGN_BLOCKS = (range(0x180), range(0x2000, 0x2C00), range(0x3000, 0x3040), range(0xFE30, 0xFFF0), range(0x1F000, 0x1FB00))

LATIN, ARABIC_SCRIPT, JAPANESE, GREEK, OTHER, SIGN, NOTHING = "latin", "arabic", "japanese", "greek", "other", "sign", "nothing"


@lru_cache(maxsize=4096)
def script_of(character: str) -> str:
    """The script of one character, ``SIGN`` for signs, digits and blanks of any, ``NOTHING`` for what no sound text holds."""
    point = ord(character)
    if point < 0x180 and character.isalpha():
        return LATIN
    if point < 0x80 or character in _FORMAT:
        return SIGN
    if 0x600 <= point <= 0x6FF:
        if character in _ARABIC_SIGNS:
            return SIGN
        return ARABIC_SCRIPT if _arabic.fullmatch(character) else NOTHING
    if 0x3041 <= point <= 0x30FF or 0x4E00 <= point <= 0x9FFF or 0x3005 <= point <= 0x3007 or 0xFF10 <= point <= 0xFF9F:
        return JAPANESE
    if 0x386 <= point <= 0x3CE:
        return GREEK
    category = unicodedata.category(character)
    if category in _SIGN_CATEGORIES and character != "\ufffd" and any(point in block for block in _SIGN_BLOCKS):
        return SIGN
    return OTHER if category in ("Lu", "Ll", "Lo") and (0x400 <= point <= 0x5FF or 0xAC00 <= point <= 0xD7A3) else NOTHING


@lru_cache(maxsize=256)
def own_letters(languages: frozenset[str]) -> frozenset[str]:
    """Letters beyond ASCII of any of the languages."""
    return frozenset().union(*(OWN[language] for language in languages if language in OWN))


def known(languages: Iterable[str | None]) -> frozenset[str]:
    """Those that are among the ten; all ten where none is."""
    return frozenset(language for language in languages if language in OWN) or ALL_LANGUAGES


ALL_LANGUAGES = frozenset(LANGUAGES)


def are_plausible(characters: str, languages: frozenset[str]) -> bool:
    """Characters beyond ASCII, all decoded from one place, may stand in a sound text of one of the languages.

    A script that none of the languages is written in takes several letters: one alone may be chance.
    """
    scripts = [script_of(character) for character in characters]
    if NOTHING in scripts:
        return False
    arabic, japanese = scripts.count(ARABIC_SCRIPT), scripts.count(JAPANESE)
    if sum(1 for count in (arabic, japanese, scripts.count(OTHER)) if count) > 1:
        return False
    if GREEK in scripts and scripts.count(GREEK) < 2 and not _SINGLE_GREEK.issuperset(_only(characters, scripts, GREEK)):
        return False
    return not (
        (arabic and "ar" not in languages and arabic < 3)
        or (japanese and "ja" not in languages and japanese < 2)
        or scripts.count(OTHER) == 1
    )


def _only(characters: str, scripts: list[str], script: str) -> str:
    return "".join(character for character, its_script in zip(characters, scripts, strict=True) if its_script == script)


@lru_cache(maxsize=8192)
def is_rare(letter: str) -> bool:
    """An ideograph of the second level of JIS X 0208, or of none."""
    return "\u4e00" <= letter <= "\u9fff" and (is_beyond_jis(letter) or letter.encode("euc_jp")[0] >= 0xD0)


@lru_cache(maxsize=8192)
def is_beyond_jis(letter: str) -> bool:
    """An ideograph that JIS X 0208 does not have."""
    if not "\u4e00" <= letter <= "\u9fff":
        return False
    try:
        return len(letter.encode("euc_jp")) > 2
    except UnicodeEncodeError:
        return True
