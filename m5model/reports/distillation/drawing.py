"""Draws the figures of a distillation's page as SVG that stands in the page itself: no script, no file beside it."""

from collections.abc import Sequence
from xml.sax.saxutils import escape

from m5model.distillation.candidates import Trial
from m5model.gates.intervals import Interval
from m5model.reports.charts import BOTTOM, RIGHT, TOP, WIDTH, Axis, Row, draw_grid, draw_rows
from m5model.reports.distillation.facts import frontier
from m5model.reports.images import image

HEIGHT = 320
LEFT = 64  # room for the axis


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


def draw_ablations(intervals: Sequence[tuple[str, Interval]], what: str) -> str:
    """The whole recipe and the recipe without each part: a dot with its interval each."""
    return draw_rows([Row(label=name, value=one.value, low=one.low, high=one.high) for name, one in intervals], what)


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
    return draw_grid(x, y.end, y.start) + lines + numbers + names
