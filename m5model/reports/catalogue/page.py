"""The report as one HTML page: no script, no font, no file beside it. Text of right-to-left languages is shown as such."""

from pathlib import Path

from m5model.reports.catalogue.facts import CatalogueFacts
from m5model.reports.pages import LANGUAGE_NAMES, open_template
from schemas.listing import WARNINGS
from schemas.locales import LANGUAGES, RIGHT_TO_LEFT
from schemas.reject import REASONS, REPAIRS

# One colour a language, told apart by lightness as well as hue.
COLOURS = ("#0b6e4f", "#c1666b", "#2e5eaa", "#e0a458", "#6a4c93", "#3fa7d6", "#8d6e63", "#9bc53d", "#f08a5d", "#4a4e69")
COLOUR_OF = dict(zip(LANGUAGES, COLOURS, strict=True))


def render_page(facts: CatalogueFacts) -> str:
    """The whole page. Catalogue text is escaped: it comes from sellers."""
    template = open_template(Path(__file__).parent, percent=lambda share, digits=1: f"{share:.{digits}%}")
    return template.render(
        facts=facts,
        colour=COLOUR_OF,
        language_name=LANGUAGE_NAMES,
        direction={language: "rtl" if language in RIGHT_TO_LEFT else "ltr" for language in LANGUAGES},
        meanings={**REASONS, **REPAIRS, **WARNINGS},
    )
