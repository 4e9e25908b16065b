"""Charts that stand in pages as SVG: rows of dots with their intervals, axes and grids."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

from m5model.reports.images import image
from m5model.reports.languages import LANGUAGE_NAMES, LanguageFigures
from schemas.figure import Figure

WIDTH = 560
RIGHT, TOP, BOTTOM = 20, 14, 44  # room for axes
ROW = 24  # pixels of a row of an interval plot
LABELS = 150  # room for its labels
TICKS = 5  # about so many on an axis
STEPS = (1, 2, 2.5, 5, 10)  # between ticks, times a power of ten


@dataclass(frozen=True, kw_only=True)
class Axis:
    """A stretch of numbers and the stretch of pixels that shows it."""

    low: float
    high: float
    start: float
    end: float

    @classmethod
    def over(cls, values: Sequence[float], start: float, end: float, margin: float = 0.08) -> "Axis":
        """Around all values, with room at both ends."""
        low, high = min(values), max(values)
        room = (high - low) * margin or abs(high) * margin or 1.0
        return cls(low=low - room, high=high + room, start=start, end=end)

    def place(self, value: float) -> float:
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)

    def ticks(self) -> list[float]:
        """Round numbers within."""
        rough = (self.high - self.low) / TICKS
        power = 10 ** math.floor(math.log10(rough))
        step = next(power * one for one in STEPS if power * one >= rough * 0.999)
        first = math.ceil(self.low / step)
        return [round(number * step, 10) for number in range(first, math.floor(self.high / step) + 1)]


@dataclass(frozen=True, kw_only=True)
class Row:
    """A dot of a chart of rows, its interval, and the threshold that it must meet."""

    label: str
    value: float
    low: float
    high: float
    threshold: float | None = None
    holds: bool = True

    @classmethod
    def of_figure(cls, label: str, figure: Figure) -> "Row":
        """A figure that is no number is shown at 0 and named so."""
        value = float("nan") if figure.value is None else float(figure.value)
        label = label if math.isfinite(value) else f"{label}: no number"
        value = value if math.isfinite(value) else 0.0
        low, high = (value if end is None or not math.isfinite(end) else end for end in (figure.low, figure.high))
        return cls(label=label, value=value, low=low, high=high, threshold=figure.threshold, holds=figure.holds)


def draw_languages(found: LanguageFigures) -> str:
    """One measure: a dot with its interval for all texts and for each language; a stroke where the threshold is."""
    overall = [("all", found.overall)] if found.overall else []
    rows = [(LANGUAGE_NAMES.get(name, name), figure) for name, figure in (*overall, *found.languages)]
    return draw_rows([Row.of_figure(name, figure) for name, figure in rows], found.title)


def draw_rows(rows: Sequence[Row], title: str) -> str:
    """One dot a row on a common axis."""
    values = [value for row in rows for value in (row.value, row.low, row.high, row.threshold) if value is not None]
    height = TOP + ROW * len(rows) + BOTTOM
    x = Axis.over(values, LABELS, WIDTH - RIGHT)
    y = Axis(low=0, high=len(rows), start=TOP, end=TOP + ROW * len(rows))
    drawn = "".join(_draw_row(row, x, y.place(place + 0.5)) for place, row in enumerate(rows))
    zero = f'<path class="zero" d="M{x.place(0):.1f} {y.start}V{y.end}"/>' if x.low < 0 < x.high else ""
    return image(WIDTH, height, f"{title}: {len(rows)} rows", draw_grid(x, y.start, y.end) + zero + drawn, "chart")


def draw_grid(x: Axis, top: float, bottom: float) -> str:
    """Upright lines and the numbers below them."""
    line: Callable[[float], str] = lambda tick: f'<path class="grid" d="M{x.place(tick):.1f} {top}V{bottom}"/>'  # noqa: E731
    numbers = "".join(
        f'<text class="tick" x="{x.place(tick):.1f}" y="{bottom + 16}" text-anchor="middle">{tick:g}</text>'
        for tick in x.ticks()
    )
    return "".join(line(tick) for tick in x.ticks()) + numbers


def _draw_row(row: Row, x: Axis, y: float) -> str:
    kind = "" if row.holds else ' class="short"'
    stroke = ""
    if row.threshold is not None:
        at = x.place(row.threshold)
        stroke = f'<path class="limit" d="M{at:.1f} {y - 8:.1f}v16"/>'
    return (
        f'<text x="{LABELS - 10}" y="{y + 4:.1f}" text-anchor="end">{escape(row.label)}</text>{stroke}<g{kind}>'
        f"<title>{escape(f'{row.label}: {row.value:.4g} [{row.low:.4g}, {row.high:.4g}]')}</title>"
        f'<path class="interval" d="M{x.place(row.low):.1f} {y:.1f}H{x.place(row.high):.1f}"/>'
        f'<circle class="dot" cx="{x.place(row.value):.1f}" cy="{y:.1f}" r="4.5"/></g>'
    )
