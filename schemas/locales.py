"""The 15 locales of the catalogue and the 10 languages that their listings are written in."""

import re
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Locale:
    """One store front. ``languages`` lists what its listings may be written in, the most usual one first."""

    code: str  # the store's own code, e.g. "UK"; not always the ISO country code
    languages: tuple[str, ...]  # ISO 639-1
    regions: tuple[str, ...]  # ISO 3166-1, of two letters and of three: how feeds name it beside the code


_LOCALES = (
    Locale(code="AE", languages=("en", "ar"), regions=("AE", "ARE")),
    Locale(code="BR", languages=("pt",), regions=("BR", "BRA")),
    Locale(code="CA", languages=("en", "fr"), regions=("CA", "CAN")),
    Locale(code="DE", languages=("de",), regions=("DE", "DEU")),
    Locale(code="ES", languages=("es",), regions=("ES", "ESP")),
    Locale(code="FR", languages=("fr",), regions=("FR", "FRA")),
    Locale(code="IN", languages=("en",), regions=("IN", "IND")),
    Locale(code="IT", languages=("it",), regions=("IT", "ITA")),
    Locale(code="JP", languages=("ja",), regions=("JP", "JPN")),
    Locale(code="MX", languages=("es",), regions=("MX", "MEX")),
    Locale(code="NL", languages=("nl", "en"), regions=("NL", "NLD")),
    Locale(code="SA", languages=("ar", "en"), regions=("SA", "SAU")),
    Locale(code="TR", languages=("tr",), regions=("TR", "TUR")),
    Locale(code="UK", languages=("en",), regions=("GB", "GBR")),
    Locale(code="US", languages=("en",), regions=("US", "USA")),
)

LOCALES: dict[str, Locale] = {locale.code: locale for locale in _LOCALES}

LANGUAGES: tuple[str, ...] = ("ar", "de", "en", "es", "fr", "it", "ja", "nl", "pt", "tr")

RIGHT_TO_LEFT: frozenset[str] = frozenset({"ar"})

# ISO 639-2 and the older spellings of ISO 639-1 that feeds use.
LANGUAGE_SPELLINGS: dict[str, str] = {
    "ara": "ar",
    "deu": "de",
    "ger": "de",
    "eng": "en",
    "spa": "es",
    "fra": "fr",
    "fre": "fr",
    "ita": "it",
    "jpn": "ja",
    "dut": "nl",
    "nld": "nl",
    "por": "pt",
    "tur": "tr",
}

_BY_REGION = {region: locale.code for locale in _LOCALES for region in (locale.code, *locale.regions)}
# A language, perhaps a script, and a region: BCP 47 (pt-BR), POSIX (de_DE.UTF-8).
_TAG = re.compile(r"(?P<language>[A-Za-z]{2,3})[-_](?:[A-Za-z]{4}[-_])?(?P<region>[A-Za-z]{2,3})(?:[.@].*)?")


def find_locale(spelling: str) -> tuple[str, str | None] | None:
    """Finds the locale that a feed means, and the language where the spelling names one of the ten. None where it is not sure.

    Rules, the first that holds: a code or its region in any case (``de``, ``GB``, ``usa``); a language tag with such a region
    (``pt-BR``, ``de_DE``). A language alone is no locale, although one of two letters may be a region's too: ``de``.
    """
    text = spelling.strip()
    code = _BY_REGION.get(text.upper())
    if code is not None:
        return code, None
    tag = _TAG.fullmatch(text)
    code = _BY_REGION.get(tag["region"].upper()) if tag else None
    if tag is None or code is None:
        return None
    language = tag["language"].lower()
    language = LANGUAGE_SPELLINGS.get(language, language)
    return code, language if language in LANGUAGES else None


def explain_locale(spelling: str) -> str:
    """Returns what is wrong with a locale that ``find_locale`` does not find, and what to write instead."""
    language = spelling.strip().lower()
    language = LANGUAGE_SPELLINGS.get(language, language)
    if language in LANGUAGES:
        codes = ", ".join(locale.code for locale in _LOCALES if language in locale.languages)
        return f"{spelling!r} is a language; write the store front: {codes}"
    return f"{spelling!r} is no store front; write one of {', '.join(LOCALES)}, or a tag that ends in one, such as pt-BR"
