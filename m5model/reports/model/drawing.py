"""Draws the figures of a model's page as SVG that stands in the page itself: no script, no file beside it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

from m5model.reports.images import image
from m5model.reports.model.facts import ActivationFacts, AttentionFacts, HeatMap, Projection, ShownListing
from m5model.reports.model.outliers import RATIO

CELL = 12  # of a heat map, pixels
LABEL = 112  # room of a heat map's labels, pixels
LEVELS = 16  # shades of a heat map
LABEL_CHARACTERS = 14
NOTHING = "‹nothing›"
STRIP_HEIGHT = 34
STRIP_LINES = 320  # at most
MAP_SIZE = 520
MAP_MARGIN = 12
# Told apart by lightness as well as hue; the last one is for what has no colour of its own.
COLOURS = (
    "#0b6e4f", "#c1666b", "#2e5eaa", "#e0a458", "#6a4c93", "#3fa7d6", "#8d6e63", "#9bc53d", "#f08a5d", "#4a4e69",
    "#b5179e", "#2a9d8f", "#8c1c13", "#ffb3c6", "#606c38", "#7209b7", "#a3a9b5",
)  # fmt: skip
OTHER = "others"
TITLE_CHARACTERS = 80


@dataclass(frozen=True, kw_only=True)
class Legend:
    """Colours of names, those with most listings first."""

    colours: Mapping[str, str]
    counts: Mapping[str, int]
    name_of: Mapping[str, str]  # what a listing is → its name in the legend: rare ones are others


def make_legend(names: Sequence[str]) -> Legend:
    """A colour for each name; where there are more names than colours, the rarest share one."""
    ranked = [name for name, _ in sorted(Counter(names).items(), key=lambda entry: (-entry[1], entry[0]))]
    own = ranked if len(ranked) < len(COLOURS) else ranked[: len(COLOURS) - 1]
    name_of = {name: name if name in own else OTHER for name in ranked}
    counts = Counter(name_of[name] for name in names)
    shown = [*own, OTHER] if OTHER in counts else own
    colours = {name: COLOURS[place] if name != OTHER else COLOURS[-1] for place, name in enumerate(shown)}
    return Legend(colours=colours, counts=dict(counts), name_of=name_of)


def draw_points(
    projection: Projection, listings: Sequence[ShownListing], names: Sequence[str], legend: Legend, what: str
) -> str:
    """One dot a listing, coloured by its name (its ``what``); its title shows where the pointer rests."""
    places = _fit(projection.points)
    dots = "".join(
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4.2" fill="{legend.colours[legend.name_of[name]]}">'
        f"<title>{escape(_label(listing))}</title></circle>"
        for (x, y), listing, name in zip(places, listings, names, strict=True)
    )
    text = f"{projection.name}: {len(listings)} listings coloured by {what}"
    return image(MAP_SIZE, MAP_SIZE, text, f'<g class="dots">{dots}</g>', "map")


def draw_profile(activation: ActivationFacts, what: str) -> str:
    """The largest magnitude of every channel as a line, outliers in red; the dashed line is where outliers begin.

    Where there are more channels than lines, a line is the largest of its neighbours.
    """
    top = max(activation.largest, RATIO * activation.middle) or 1.0
    outliers = {outlier.channel for outlier in activation.outliers}
    each = -(-len(activation.profile) // STRIP_LINES)
    lines: dict[bool, list[str]] = {False: [], True: []}
    for place, first in enumerate(range(0, len(activation.profile), each)):
        channels = range(first, min(first + each, len(activation.profile)))
        height = STRIP_HEIGHT * max(activation.profile[channel] for channel in channels) / top
        lines[not outliers.isdisjoint(channels)].append(f"M{place}.5 {STRIP_HEIGHT}v-{height:.1f}")
    width = len(lines[False]) + len(lines[True])
    limit = STRIP_HEIGHT * (1 - RATIO * activation.middle / top)
    marks = f'<path class="limit" d="M0 {limit:.1f}h{width}"/>'
    paths = f'<path class="channels" d="{"".join(lines[False])}"/><path class="outliers" d="{"".join(lines[True])}"/>'
    text = f"{what}: largest magnitude of {len(activation.profile)} channels, {len(outliers)} outliers"
    return image(width, STRIP_HEIGHT, text, paths + marks, "strip", stretched=True)


def draw_heat_map(attention: AttentionFacts, shown: HeatMap, layer: str) -> str:
    """Rows ask, columns are asked; the darker, the more weight. A first column of its own is what goes to no token."""
    names = [_short(name) for name in attention.tokens]
    columns = names if shown.ignored is None else [NOTHING, *names]
    rows = [list(row) for row in shown.weights]
    if shown.ignored is not None:
        rows = [[ignored, *row] for ignored, row in zip(shown.ignored, rows, strict=True)]
    width, height = len(columns) * CELL, len(names) * CELL
    text = f"{layer}, {shown.title}: attention between {len(names)} tokens, mean over heads; {shown.summary}"
    frame = f'<rect class="frame" x="{LABEL}" y="{LABEL}" width="{width}" height="{height}"/>'
    cells = f'<g transform="translate({LABEL} {LABEL}) scale({CELL})">{_shades(rows)}</g>'
    return image(LABEL + width + 2, LABEL + height + 2, text, frame + cells + _labels(names, columns), "heat")


def _labels(rows: Sequence[str], columns: Sequence[str]) -> str:
    """Names of tokens at the left and, turned, above."""
    left = "".join(
        f'<text x="{LABEL - 6}" y="{_middle(place)}" text-anchor="end">{escape(name)}</text>' for place, name in enumerate(rows)
    )
    above = "".join(
        f'<text transform="translate({_middle(place)} {LABEL - 6}) rotate(-90)">{escape(name)}</text>'
        for place, name in enumerate(columns)
    )
    return left + above


def _middle(place: int) -> str:
    """Place the base line of a label so that the label is beside the middle of its cells."""
    return f"{LABEL + (place + 0.78) * CELL:.1f}"


def _shades(rows: Sequence[Sequence[float]]) -> str:
    """Cells of a unit's width, those of one shade as one path; runs of one shade are one line, cells near zero are left out.

    The shade is the square root of the weight over the largest one: most weights are small.
    """
    top = max((weight for row in rows for weight in row), default=0.0) or 1.0
    runs: dict[int, list[str]] = {}
    for y, row in enumerate(rows):
        shades = [round(LEVELS * max(0.0, weight / top) ** 0.5) for weight in row]
        x = 0
        while x < len(shades):
            end = x
            while end < len(shades) and shades[end] == shades[x]:
                end += 1
            runs.setdefault(shades[x], []).append(f"M{x} {y}.5h{end - x}")
            x = end
    return "".join(
        f'<path stroke-opacity="{shade / LEVELS:.2f}" d="{"".join(runs[shade])}"/>' for shade in sorted(runs) if shade > 0
    )


def _fit(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Coordinates in the picture: one scale for both axes, in the middle; up is up."""
    lows = [min(point[axis] for point in points) for axis in (0, 1)]
    highs = [max(point[axis] for point in points) for axis in (0, 1)]
    widest = max(high - low for low, high in zip(lows, highs, strict=True)) or 1.0
    scale, middle = (MAP_SIZE - 2 * MAP_MARGIN) / widest, MAP_SIZE / 2
    centre = [(low + high) / 2 for low, high in zip(lows, highs, strict=True)]
    return [(middle + (x - centre[0]) * scale, middle - (y - centre[1]) * scale) for x, y in points]


def _label(listing: ShownListing) -> str:
    title = listing.title
    shown = title if len(title) <= TITLE_CHARACTERS else title[:TITLE_CHARACTERS] + "…"
    return f"{shown} ({', '.join(filter(None, (listing.locale, listing.language, listing.group)))})"


def _short(name: str) -> str:
    return name if len(name) <= LABEL_CHARACTERS else name[: LABEL_CHARACTERS - 1] + "…"
