"""The languages of the catalogue as pages show them: names, colours, direction, and figures that a measure has by language."""

from collections.abc import Sequence
from dataclasses import dataclass

from schemas.figure import Figure
from schemas.locales import LANGUAGES, RIGHT_TO_LEFT

LANGUAGE_NAMES = {
    "ar": "Arabic",
    "de": "German",
    "en": "English",
    "es": "Spanish",
    "fr": "French",
    "it": "Italian",
    "ja": "Japanese",
    "nl": "Dutch",
    "pt": "Portuguese",
    "tr": "Turkish",
}

# One colour a language, told apart by lightness as well as hue.
COLOURS = ("#0b6e4f", "#c1666b", "#2e5eaa", "#e0a458", "#6a4c93", "#3fa7d6", "#8d6e63", "#9bc53d", "#f08a5d", "#4a4e69")
COLOUR_OF = dict(zip(LANGUAGES, COLOURS, strict=True))

# Figures of languages that say how a student does, by the beginning of their names, and what they are called for people.
BY_LANGUAGE = {
    "agreement": "Agreement of similarities with the teachers",
    "pairs_average_precision_gap": "Average precision on labelled pairs: what is lost",
    "pairs_roc_auc_gap": "ROC-AUC on labelled pairs: what is lost",
    "pairs_recall_at_10_gap": "Recall at 10 of the matching listing: what is lost",
    "attributes_f1_gap": "F1 of attributes by near texts: what is lost",
    "same_space_cosine": "Cosine of query and document vectors of a text",
    "same_space_neighbours_lost": "Near documents that queries do not find",
    "same_space_recall_at_10_gap": "Recall at 10 with queries by this student: what is lost",
}


@dataclass(frozen=True, kw_only=True)
class LanguageFigures:
    """One measure of all texts and of each language."""

    title: str
    overall: Figure | None
    languages: Sequence[tuple[str, Figure]]


def figures_by_language(figures: Sequence[Figure]) -> Sequence[LanguageFigures]:
    """The measures that were made of any language."""
    found = [_of_languages(figures, name, title) for name, title in BY_LANGUAGE.items()]
    return [one for one in found if one.languages]


def direction_of(language: str) -> str:
    """The value of ``dir`` for a text of that language."""
    return "rtl" if language in RIGHT_TO_LEFT else "ltr" if language in LANGUAGE_NAMES else "auto"


def _of_languages(figures: Sequence[Figure], name: str, title: str) -> LanguageFigures:
    by_name = {figure.name: figure for figure in figures}
    languages = [(code, by_name[f"{name}_{code}"]) for code in LANGUAGES if f"{name}_{code}" in by_name]
    return LanguageFigures(title=title, overall=by_name.get(name), languages=languages)
