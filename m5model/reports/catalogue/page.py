"""The report as one HTML page: no script, no font, no file beside it. Text of right-to-left languages is shown as such."""

from pathlib import Path

from m5model.reports.catalogue.facts import CatalogueFacts
from m5model.reports.languages import COLOUR_OF, LANGUAGE_NAMES
from m5model.reports.pages import open_template
from schemas.listing import WARNINGS
from schemas.reject import REASONS, REPAIRS


def render_page(facts: CatalogueFacts) -> str:
    """The whole page. Catalogue text is escaped: it comes from sellers."""
    template = open_template(Path(__file__).parent)
    return template.render(
        facts=facts,
        colour=COLOUR_OF,
        language_name=LANGUAGE_NAMES,
        meanings={**REASONS, **REPAIRS, **WARNINGS},
    )
