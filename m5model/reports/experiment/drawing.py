"""Draws curves and intervals as SVG that stands in the page itself: no script, no file beside it."""

from collections.abc import Sequence
from xml.sax.saxutils import escape

from m5model.partners.evaluation.curves import Curve, Picture
from m5model.reports.images import image
from schemas.experiment import Comparison, GroupFigure

WIDTH, HEIGHT = 420, 300
LEFT, BOTTOM, TOP, RIGHT = 44, 40, 12, 14  # room around the frame
COLOURS = ("#2e5eaa", "#c1666b", "#0b6e4f", "#e0a458", "#6a4c93")
TICKS = (0.0, 0.25, 0.5, 0.75, 1.0)
ROW = 24  # pixels of a group
NAME_ROOM = 170
BAR_ROOM = 300


def draw_picture(picture: Picture) -> str:
    """Lines in a frame whose axes run from 0 to 1."""
    lines = "".join(_line(curve, COLOURS[place % len(COLOURS)]) for place, curve in enumerate(picture.curves))
    diagonal = f'<path class="limit" d="M{_x(0):.1f} {_y(0):.1f}L{_x(1):.1f} {_y(1):.1f}"/>' if picture.diagonal else ""
    text = f"{picture.title}: {', '.join(curve.name for curve in picture.curves)}"
    return image(WIDTH, HEIGHT, text, _axes(picture) + diagonal + lines, "curves")


def legend_of(picture: Picture) -> list[tuple[str, str]]:
    """Name and colour of every line."""
    return [(curve.name, COLOURS[place % len(COLOURS)]) for place, curve in enumerate(picture.curves)]


def draw_groups(groups: Sequence[GroupFigure]) -> str:
    """A dot with its interval for every group; the axis runs from the least end to the greatest."""
    shown = [group for group in groups if group.figure.value is not None]
    ends = [end for group in shown for end in (group.figure.low, group.figure.high, group.figure.value) if end is not None]
    if not ends:
        return ""
    low, high = min(ends), max(ends)
    span = (high - low) or 1.0
    height = ROW * len(shown) + 28

    def place(value: float) -> float:
        return NAME_ROOM + BAR_ROOM * (value - low) / span

    rows = "".join(_group_row(group, ROW * number + 16, place) for number, group in enumerate(shown))
    scale = "".join(
        f'<text class="tick" x="{place(value):.1f}" y="{height - 6}" text-anchor="{anchor}">{value:.3f}</text>'
        for value, anchor in ((low, "start"), (high, "end"))
    )
    return image(NAME_ROOM + BAR_ROOM + 60, height, "The primary metric by group, with intervals", rows + scale, "curves")


def draw_difference(comparison: Comparison) -> str:
    """The interval of a difference beside zero."""
    if comparison.difference is None or comparison.low is None or comparison.high is None:
        return ""
    reach = max(abs(comparison.low), abs(comparison.high), 1e-9) * 1.15

    def place(value: float) -> float:
        return 10 + 220 * (value + reach) / (2 * reach)

    kind = comparison.verdict.replace(" ", "-")
    content = (
        f'<path class="limit" d="M{place(0):.1f} 2v20"/>'
        f'<path class="interval {kind}" d="M{place(comparison.low):.1f} 12H{place(comparison.high):.1f}"/>'
        f'<circle class="dot" cx="{place(comparison.difference):.1f}" cy="12" r="4"/>'
    )
    text = f"difference {comparison.difference:+.4f}, 95% between {comparison.low:+.4f} and {comparison.high:+.4f}"
    return image(240, 24, text, content, "difference")


def _group_row(group: GroupFigure, y: float, place) -> str:  # type: ignore[no-untyped-def]
    figure = group.figure
    value = float(figure.value or 0)
    low, high = (value if end is None else end for end in (figure.low, figure.high))
    name = f"{group.column} {group.value}"
    return (
        f'<text class="name" x="{NAME_ROOM - 10}" y="{y + 4}" text-anchor="end">{escape(name[:26])}</text>'
        f'<path class="interval" d="M{place(low):.1f} {y}H{place(high):.1f}"/>'
        f'<circle class="dot" cx="{place(value):.1f}" cy="{y}" r="4"><title>{escape(name)}: {value:.4f}</title></circle>'
    )


def _axes(picture: Picture) -> str:
    frame = f'<rect class="frame" x="{LEFT}" y="{TOP}" width="{WIDTH - LEFT - RIGHT}" height="{HEIGHT - TOP - BOTTOM}"/>'
    ticks = "".join(
        f'<text class="tick" x="{_x(tick):.1f}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">{tick:g}</text>'
        f'<text class="tick" x="{LEFT - 6}" y="{_y(tick) + 4:.1f}" text-anchor="end">{tick:g}</text>'
        for tick in TICKS
    )
    turned = f"translate(12 {_y(0.5):.1f}) rotate(-90)"
    names = (
        f'<text class="tick" x="{_x(0.5):.1f}" y="{HEIGHT - 6}" text-anchor="middle">{escape(picture.x_axis)}</text>'
        f'<text class="tick" transform="{turned}" text-anchor="middle">{escape(picture.y_axis)}</text>'
    )
    return frame + ticks + names


def _line(curve: Curve, colour: str) -> str:
    points = " ".join(f"{_x(x):.1f},{_y(y):.1f}" for x, y in zip(curve.x, curve.y, strict=True))
    return f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>'


def _x(value: float) -> float:
    return LEFT + (WIDTH - LEFT - RIGHT) * value


def _y(value: float) -> float:
    return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * value
