"""The facts of a model as one HTML page: no script, no font, no file beside it. Text runs as its language does."""

from pathlib import Path

from markupsafe import Markup

from m5model.reports.languages import LANGUAGE_NAMES
from m5model.reports.model import facts as parts
from m5model.reports.model.drawing import draw_heat_map, draw_points, draw_profile, make_legend
from m5model.reports.model.facts import LookedAt, ModelFacts, Outlier, Span
from m5model.reports.pages import open_template

NOT_STATED = "not stated"
SHADES = 9  # of attributions, for and against
NAMED_SPANS = 4  # pieces of a text that are named beside it
SHOWN_OUTLIERS = 4
NAMED_EXTREMES = 5  # activations


def render_page(facts: ModelFacts) -> str:
    """The whole page. Text of listings is escaped: it comes from sellers."""
    template = open_template(
        Path(__file__).parent,
        percent=lambda share, digits=0: f"{share:.{digits}%}",
        short=_short_number,
        language=lambda code: LANGUAGE_NAMES.get(code, code or NOT_STATED),
    )
    return template.render(
        facts=facts,
        parts=parts,
        maps=_maps(facts),
        attention=_attention(facts),
        profile=lambda activation, what: Markup(draw_profile(activation, what)),
        shaded=_shaded,
        strongest=_strongest,
        has_gradients=any(looked.gap is not None for looked in facts.looked_at),
        shown_outliers=SHOWN_OUTLIERS,
        extremes=_extremes(facts),
    )


def _maps(facts: ModelFacts) -> list[dict[str, object]]:
    """Each projection with its two pictures and their legends."""
    if facts.map is None:
        return []
    listings = facts.map.listings
    sides = {
        "language": [LANGUAGE_NAMES.get(listing.language, listing.language or NOT_STATED) for listing in listings],
        "category": [listing.group or NOT_STATED for listing in listings],
    }
    legends = {what: make_legend(names) for what, names in sides.items()}
    return [
        {
            "projection": projection,
            "pictures": [
                {
                    "what": what,
                    "svg": Markup(draw_points(projection, listings, names, legends[what], what)),
                    "legend": legends[what],
                }
                for what, names in sides.items()
            ],
        }
        for projection in facts.map.projections
    ]


def _attention(facts: ModelFacts) -> list[dict[str, object]]:
    """Each layer with its pictures."""
    found = facts.attention
    if found is None:
        return []
    return [
        {"name": layer.name, "maps": [(shown, Markup(draw_heat_map(found, shown, layer.name))) for shown in layer.maps]}
        for layer in found.layers
    ]


def _extremes(facts: ModelFacts) -> list[tuple[str, str, Outlier]]:
    """The largest outlier of each activation, the largest first: layer, what reads it, channel."""
    found = [
        (layer.name, activation.name, activation.outliers[0])
        for layer in facts.layers
        for activation in layer.products
        if activation.outliers
    ]
    return sorted(found, key=lambda each: -each[2].ratio)[:NAMED_EXTREMES]


def _shaded(looked: LookedAt, method: str) -> list[tuple[Span, str, str]]:
    """Spans with the class of their shade and what they add, relative to the strongest of the text."""
    values = [abs(getattr(span, method) or 0.0) for span in looked.spans]
    top = max(values, default=0.0) or 1.0
    return [(span, _shade(span, method, top), _added(getattr(span, method))) for span in looked.spans]


def _shade(span: Span, method: str, top: float) -> str:
    if span.is_mark:
        return "mark"
    value = getattr(span, method)
    depth = round(SHADES * abs(value) / top) if value is not None else 0
    return f"{'p' if value > 0 else 'n'}{depth}" if depth else ""


def _strongest(looked: LookedAt, method: str) -> list[tuple[str, str]]:
    """The pieces that add most, and what they add."""
    valued = [(float(value), span.text) for span in looked.spans if (value := getattr(span, method)) is not None]
    return [(text, _added(value)) for value, text in sorted(valued, key=lambda each: -abs(each[0]))[:NAMED_SPANS]]


def _added(value: float | None) -> str:
    return "" if value is None else f"{value:+.3f}".replace("-", "−")


def _short_number(value: float) -> str:
    """Three digits that say something."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
