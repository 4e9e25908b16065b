"""Draws the figures of a distillation's page as SVG that stands in the page itself: no script, no file beside it."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

from m5model.distillation.candidates import Trial
from m5model.gates.intervals import Interval
from m5model.reports.distillation.facts import LanguageFigures, frontier
from m5model.reports.images import image
from m5model.reports.pages import LANGUAGE_NAMES
from schemas.figure import Figure

WIDTH, HEIGHT = 560, 320
LEFT, RIGHT, TOP, BOTTOM = 64, 20, 14, 44  # room for axes
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


def draw_frontier(trials: Sequence[Trial]) -> str:
    """Candidates: milliseconds against agreement; a line joins those that none beats, the first one is ringed."""
    x, y = _axes([one.ms_at_32_tokens for one in trials], [one.agreement for one in trials])
    best = frontier(trials)
    line = " ".join(f"{x.place(one.ms_at_32_tokens):.1f},{y.place(one.agreement):.1f}" for one in best)
    dots = "".join(_candidate(one, x, y, is_chosen=one is trials[0], is_best=one in best) for one in trials)
    frame = _frame(x, y, "ms of one text of 32 tokens", "agreement with the teachers")
    text = f"candidates ({len(trials)}): milliseconds against agreement; {trials[0].name} was chosen"
    return image(WIDTH, HEIGHT, text, f'{frame}<polyline class="front" points="{line}"/>{dots}', "chart")


def draw_scatter(similarities: Sequence[tuple[float, float]]) -> str:
    """A dot for each pair of texts: the teachers' similarity against the student's, and the line of equality."""
    values = [value for pair in similarities for value in pair]
    x, y = _axes(values, values)
    dots = "".join(f'<circle cx="{x.place(theirs):.1f}" cy="{y.place(ours):.1f}" r="1.7"/>' for theirs, ours in similarities)
    low, high = max(x.low, y.low), min(x.high, y.high)
    line = f'<path class="limit" d="M{x.place(low):.1f} {y.place(low):.1f}L{x.place(high):.1f} {y.place(high):.1f}"/>'
    text = f"similarities of {len(similarities)} pairs of held-out texts by the teachers and by the student"
    frame = _frame(x, y, "similarity by the teachers", "similarity by the student")
    return image(WIDTH, HEIGHT, text, f'{frame}{line}<g class="cloud">{dots}</g>', "chart")


def draw_languages(found: LanguageFigures) -> str:
    """One measure: a dot with its interval for all texts and for each language; a stroke where the threshold is."""
    overall = [("all", found.overall)] if found.overall else []
    rows = [(LANGUAGE_NAMES.get(name, name), figure) for name, figure in (*overall, *found.languages)]
    return _rows([_Row.of_figure(name, figure) for name, figure in rows], found.title)


def draw_ablations(intervals: Sequence[tuple[str, Interval]], what: str) -> str:
    """The whole recipe and the recipe without each part: a dot with its interval each."""
    return _rows([_Row(label=name, value=one.value, low=one.low, high=one.high) for name, one in intervals], what)


@dataclass(frozen=True, kw_only=True)
class _Row:
    label: str
    value: float
    low: float
    high: float
    threshold: float | None = None
    holds: bool = True

    @classmethod
    def of_figure(cls, label: str, figure: Figure) -> "_Row":
        """A figure that is no number is shown at 0 and named so."""
        value = float("nan") if figure.value is None else float(figure.value)
        label = label if math.isfinite(value) else f"{label}: no number"
        value = value if math.isfinite(value) else 0.0
        low, high = (value if end is None or not math.isfinite(end) else end for end in (figure.low, figure.high))
        return cls(label=label, value=value, low=low, high=high, threshold=figure.threshold, holds=figure.holds)


def _rows(rows: Sequence[_Row], title: str) -> str:
    values = [value for row in rows for value in (row.value, row.low, row.high, row.threshold) if value is not None]
    height = TOP + ROW * len(rows) + BOTTOM
    x = Axis.over(values, LABELS, WIDTH - RIGHT)
    y = Axis(low=0, high=len(rows), start=TOP, end=TOP + ROW * len(rows))
    drawn = "".join(_draw_row(row, x, y.place(place + 0.5)) for place, row in enumerate(rows))
    zero = f'<path class="zero" d="M{x.place(0):.1f} {y.start}V{y.end}"/>' if x.low < 0 < x.high else ""
    return image(WIDTH, height, f"{title}: {len(rows)} rows", _grid(x, y.start, y.end) + zero + drawn, "chart")


def _draw_row(row: _Row, x: Axis, y: float) -> str:
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


def _candidate(trial: Trial, x: Axis, y: Axis, *, is_chosen: bool, is_best: bool) -> str:
    across, up = x.place(trial.ms_at_32_tokens), y.place(trial.agreement)
    ring = f'<circle class="ring" cx="{across:.1f}" cy="{up:.1f}" r="9"/>' if is_chosen else ""
    is_right = across > WIDTH - 90
    anchor, shift = ("end", -6) if is_right else ("start", 6)
    label = f'<text x="{across + shift:.1f}" y="{up + 20:.1f}" text-anchor="{anchor}">{escape(trial.name)}</text>'
    kind = "dot" if is_best else "dot behind"
    name = f"{trial.name}: {trial.agreement:.4f}, {trial.ms_at_32_tokens:.2f} ms, {trial.int8_mb:.1f} MB"
    dot = f'<circle class="{kind}" cx="{across:.1f}" cy="{up:.1f}" r="5"><title>{escape(name)}</title></circle>'
    return ring + dot + label


def _axes(across: Sequence[float], up: Sequence[float]) -> tuple[Axis, Axis]:
    return Axis.over(across, LEFT, WIDTH - RIGHT), Axis.over(up, HEIGHT - BOTTOM, TOP)


def _frame(x: Axis, y: Axis, below: str, left: str) -> str:
    """Grid, numbers and names of both axes."""
    middle = (y.start + y.end) / 2
    lines = "".join(f'<path class="grid" d="M{x.start} {y.place(tick):.1f}H{x.end}"/>' for tick in y.ticks())
    numbers = "".join(
        f'<text class="tick" x="{x.start - 6}" y="{y.place(tick) + 4:.1f}" text-anchor="end">{tick:g}</text>'
        for tick in y.ticks()
    )
    names = (
        f'<text class="name" x="{(x.start + x.end) / 2:.1f}" y="{HEIGHT - 6}" text-anchor="middle">{escape(below)}</text>'
        f'<text class="name" transform="translate(14 {middle:.1f}) rotate(-90)" text-anchor="middle">{escape(left)}</text>'
    )
    return _grid(x, y.end, y.start) + lines + numbers + names


def _grid(x: Axis, top: float, bottom: float) -> str:
    """Upright lines and the numbers below them."""
    line: Callable[[float], str] = lambda tick: f'<path class="grid" d="M{x.place(tick):.1f} {top}V{bottom}"/>'  # noqa: E731
    numbers = "".join(
        f'<text class="tick" x="{x.place(tick):.1f}" y="{bottom + 16}" text-anchor="middle">{tick:g}</text>'
        for tick in x.ticks()
    )
    return "".join(line(tick) for tick in x.ticks()) + numbers
