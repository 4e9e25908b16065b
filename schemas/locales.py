"""The 15 locales of the catalogue and the 10 languages that their listings are written in."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Locale:
    """One store front. ``languages`` lists what its listings may be written in, the most usual one first."""

    code: str  # the store's own code, e.g. "UK"; not always the ISO country code
    country: str  # ISO 3166-1 alpha-2
    languages: tuple[str, ...]  # ISO 639-1


_LOCALES = (
    Locale(code="AE", country="AE", languages=("en", "ar")),
    Locale(code="BR", country="BR", languages=("pt",)),
    Locale(code="CA", country="CA", languages=("en", "fr")),
    Locale(code="DE", country="DE", languages=("de",)),
    Locale(code="ES", country="ES", languages=("es",)),
    Locale(code="FR", country="FR", languages=("fr",)),
    Locale(code="IN", country="IN", languages=("en",)),
    Locale(code="IT", country="IT", languages=("it",)),
    Locale(code="JP", country="JP", languages=("ja",)),
    Locale(code="MX", country="MX", languages=("es",)),
    Locale(code="NL", country="NL", languages=("nl", "en")),
    Locale(code="SA", country="SA", languages=("ar", "en")),
    Locale(code="TR", country="TR", languages=("tr",)),
    Locale(code="UK", country="GB", languages=("en",)),
    Locale(code="US", country="US", languages=("en",)),
)

LOCALES: dict[str, Locale] = {locale.code: locale for locale in _LOCALES}

LANGUAGES: tuple[str, ...] = ("ar", "de", "en", "es", "fr", "it", "ja", "nl", "pt", "tr")

RIGHT_TO_LEFT: frozenset[str] = frozenset({"ar"})
