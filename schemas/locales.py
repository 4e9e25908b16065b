"""The 15 locales of the catalogue and the 10 languages that their listings are written in."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Locale:
    """One store front. ``languages`` lists what its listings may be written in, the most usual one first."""

    code: str  # the store's own code, e.g. "UK"; not always the ISO country code
    languages: tuple[str, ...]  # ISO 639-1


_LOCALES = (
    Locale(code="AE", languages=("en", "ar")),
    Locale(code="BR", languages=("pt",)),
    Locale(code="CA", languages=("en", "fr")),
    Locale(code="DE", languages=("de",)),
    Locale(code="ES", languages=("es",)),
    Locale(code="FR", languages=("fr",)),
    Locale(code="IN", languages=("en",)),
    Locale(code="IT", languages=("it",)),
    Locale(code="JP", languages=("ja",)),
    Locale(code="MX", languages=("es",)),
    Locale(code="NL", languages=("nl", "en")),
    Locale(code="SA", languages=("ar", "en")),
    Locale(code="TR", languages=("tr",)),
    Locale(code="UK", languages=("en",)),
    Locale(code="US", languages=("en",)),
)

LOCALES: dict[str, Locale] = {locale.code: locale for locale in _LOCALES}

LANGUAGES: tuple[str, ...] = ("ar", "de", "en", "es", "fr", "it", "ja", "nl", "pt", "tr")

RIGHT_TO_LEFT: frozenset[str] = frozenset({"ar"})
