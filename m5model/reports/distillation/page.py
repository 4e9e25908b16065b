"""The facts of a distillation as one HTML page: no script, no font, no file beside it."""

from pathlib import Path

from markupsafe import Markup

from m5model.gates.intervals import Interval
from m5model.reports.charts import draw_languages
from m5model.reports.distillation.drawing import draw_ablations, draw_frontier, draw_scatter
from m5model.reports.distillation.facts import DistillationFacts, frontier
from m5model.reports.pages import open_template


def render_page(facts: DistillationFacts) -> str:
    """The whole page: the same bytes for the same facts."""
    template = open_template(Path(__file__).parent, seconds=_seconds, short=_short)
    return template.render(
        facts=facts,
        longest=max((step.seconds for step in facts.steps), default=0.0) or 1.0,
        total=sum(step.seconds for step in facts.steps),
        frontier=Markup(draw_frontier(facts.trials)) if facts.trials else None,
        best={trial.name for trial in frontier(facts.trials)},
        languages=[(found, Markup(draw_languages(found))) for found in facts.by_language],
        scatter=Markup(draw_scatter(facts.similarities)) if facts.similarities else None,
        ablations=_ablations(facts),
    )


def _ablations(facts: DistillationFacts) -> list[tuple[str, Markup]]:
    """A picture for each measure that was made."""
    measures: dict[str, list[tuple[str, Interval]]] = {}
    for one in facts.ablations:
        label = one.without if one is facts.ablations[0] else f"without {one.without}"
        measures.setdefault("agreement with the teachers", []).append((label, one.agreement))
        if one.average_precision:
            measures.setdefault("average precision on labelled pairs", []).append((label, one.average_precision))
    return [(what, Markup(draw_ablations(rows, what))) for what, rows in measures.items()]


def _seconds(value: float) -> str:
    return f"{value:,.1f} s" if value < 120 else f"{value / 60:,.1f} min"


def _short(value: float | int | None) -> str:
    if value is None:
        return "no number"
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"
