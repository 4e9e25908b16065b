"""An experiment's outcome as one HTML page: no script, no font, no file beside it. Texts of listings are escaped."""

from pathlib import Path

from markupsafe import Markup

from m5model.partners.experiment import Outcome
from m5model.reports.experiment.drawing import draw_difference, draw_groups, draw_picture, legend_of
from m5model.reports.pages import open_template

SHOWN_ROWS = 30  # of a table that an experiment found
CELL_CHARACTERS = 160

VERDICTS = {
    "better": "better: the whole interval lies above zero",
    "worse": "worse: the whole interval lies below zero",
    "not shown": "not shown: the interval holds zero",
}
LOWER_VERDICTS = VERDICTS | {
    "better": "better: the whole interval lies below zero",
    "worse": "worse: the whole interval lies above zero",
}


def render_experiment(outcome: Outcome) -> str:
    """The whole page."""
    template = open_template(
        Path(__file__).parent,
        number=_number,
        signed=_signed,
        cell=_cell,
    )
    partner = outcome.data.partner
    manifest = outcome.manifest
    return template.render(
        manifest=manifest,
        partner=partner,
        primary=manifest.figures[0] if manifest.figures else None,
        verdicts=VERDICTS if partner.higher_is_better else LOWER_VERDICTS,
        differences=[(one, Markup(draw_difference(one))) for one in manifest.comparisons],
        groups=Markup(draw_groups(manifest.groups)),
        pictures=[(one, Markup(draw_picture(one)), legend_of(one)) for one in outcome.pictures],
        tables=[
            (name, table.column_names, table.slice(0, SHOWN_ROWS).to_pylist(), table.num_rows)
            for name, table in outcome.tables.items()
        ],
        mistakes=outcome.mistakes,
        calibration=outcome.ours.calibration,
    )


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}".replace("-", "−") if isinstance(value, float) else f"{value:,}"


def _cell(value: object) -> str:
    """A cell of a table: numbers as elsewhere, long texts cut."""
    if value is None or isinstance(value, (int, float)) and not isinstance(value, bool):
        return _number(value)
    return str(value)[:CELL_CHARACTERS]


def _signed(value: float | None) -> str:
    return "–" if value is None else f"{value:+.4f}".replace("-", "−")
