"""The report as one HTML page: no script, no font, no file beside it. Text of right-to-left languages is shown as such."""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from m5model.reports.catalogue.facts import CatalogueFacts
from schemas.listing import WARNINGS
from schemas.locales import LANGUAGES, RIGHT_TO_LEFT
from schemas.reject import REASONS, REPAIRS

# One colour a language, told apart by lightness as well as hue.
COLOURS = ("#0b6e4f", "#c1666b", "#2e5eaa", "#e0a458", "#6a4c93", "#3fa7d6", "#8d6e63", "#9bc53d", "#f08a5d", "#4a4e69")
COLOUR_OF = dict(zip(LANGUAGES, COLOURS, strict=True))
NAMES = {
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


def render_page(facts: CatalogueFacts) -> str:
    """The whole page. Catalogue text is escaped: it comes from sellers."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["count"] = lambda value: f"{value:,}"
    environment.filters["percent"] = lambda share, digits=1: f"{share:.{digits}%}"
    return environment.get_template("page.html.jinja").render(
        facts=facts,
        colour=COLOUR_OF,
        language_name=NAMES,
        direction={language: "rtl" if language in RIGHT_TO_LEFT else "ltr" for language in LANGUAGES},
        meanings={**REASONS, **REPAIRS, **WARNINGS},
    )
