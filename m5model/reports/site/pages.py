"""The pages of a site: HTML without scripts, fonts or files from elsewhere. All text is escaped: sellers wrote it."""

from collections import Counter
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Template
from markupsafe import Markup

from m5model.reports.charts import draw_languages
from m5model.reports.languages import COLOUR_OF, LANGUAGE_NAMES, LanguageFigures, figures_by_language
from m5model.reports.model.drawing import COLOURS, Legend, draw_points
from m5model.reports.pages import open_template
from m5model.reports.site.changes import Memory
from m5model.reports.site.facts import MapFacts, SiteFacts
from m5model.reports.site.lineage import trace_back, trace_forward
from schemas.bundle import BundleManifest
from schemas.locales import LANGUAGES

# Name of the page → its title, in the order of the navigation.
PAGES: Mapping[str, str] = {
    "index": "Overview",
    "tables": "Tables",
    "sets": "Sets",
    "models": "Models",
    "features": "Features",
    "quality": "Quality",
    "map": "Map",
    "jobs": "Jobs",
}
SHOWN = 100  # things of a kind on a page: the newest ones
SHOWN_BUNDLES = 40
SHOWN_FIGURES = 120  # of a gate
SHOWN_STEPS = 30  # to a bundle, and from it
COMPARED_BUNDLES = 3  # the newest ones with figures by language
UNKNOWN = "not stated"


def render_site(facts: SiteFacts, memory: Memory) -> dict[str, str]:
    """File name → page. The same facts and memory give the same text."""
    return {f"{name}.html": _render(name, facts, memory) for name in PAGES}


def _render(page: str, facts: SiteFacts, memory: Memory) -> str:
    return _open(page).render(page=page, pages=PAGES, facts=facts, memory=memory, **_extras(page, facts))


@cache
def _open(page: str) -> Template:
    """Compiled once a process: that takes longer than to fill it in."""
    return open_template(
        Path(__file__).parent,
        f"{page}.html.jinja",
        megabytes=lambda size: f"{size / 1e6:,.1f} MB",
        short=_short,
        when=lambda at: f"{at[:10]} {at[11:16]}" if at else "–",
        anchor=lambda name: quote(name, safe=""),
        newest=lambda found, most=SHOWN: list(found)[::-1][:most],
    )


def _extras(page: str, facts: SiteFacts) -> dict[str, Any]:
    """Holds what a page shows beside the facts as they are."""
    if page == "models":
        shown = list(facts.bundles)[::-1][:SHOWN_BUNDLES]
        return {
            "shown": shown,
            "lines": {one.id: (trace_back(facts, one), trace_forward(facts, one)) for one in shown},
            "fell_short": {one.id: [each for each in one.gate if not each.holds] for one in shown},
            "most": {"figures": SHOWN_FIGURES, "steps": SHOWN_STEPS},
        }
    if page == "quality":
        return {"measured": [(one, found) for one in facts.bundles[::-1] if (found := _charts(one))][:COMPARED_BUNDLES]}
    if page == "map" and facts.map is not None:
        legend = _legend(facts.map)
        return {"legend": legend, "picture": Markup(_picture(facts.map, legend))}
    if page == "tables":
        return {"colour": COLOUR_OF}
    return {}


def _charts(bundle: BundleManifest) -> list[tuple[LanguageFigures, Markup]]:
    return [(found, Markup(draw_languages(found))) for found in figures_by_language(bundle.gate)]


def _legend(found: MapFacts) -> Legend:
    """The languages' own colours, in the order of the languages."""
    counts = Counter(_name(listing.language) for listing in found.listings)
    colours = {_name(code): COLOUR_OF[code] for code in LANGUAGES} | {UNKNOWN: COLOURS[-1]}
    shown = {name: colour for name, colour in colours.items() if name in counts}
    return Legend(colours=shown, counts=dict(counts), name_of={name: name for name in shown})


def _picture(found: MapFacts, legend: Legend) -> str:
    names = [_name(listing.language) for listing in found.listings]
    return draw_points(found.projection, found.listings, names, legend, "language")


def _name(language: str) -> str:
    return LANGUAGE_NAMES.get(language, UNKNOWN)


def _short(value: float | int | None) -> str:
    if value is None:
        return "no number"
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}".replace("-", "−")
