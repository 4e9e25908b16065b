"""The figures of one model: every metric with its interval over entities, of all rows and of every group."""

import numpy as np

from m5model.gates.intervals import bootstrap
from m5model.partners.data import PartnerData
from m5model.partners.evaluation.metric import Metric
from m5model.partners.evaluation.scored import Scored
from schemas.experiment import GroupFigure
from schemas.figure import Figure

NOT_STATED = "not stated"
MIN_ROWS = 20  # of a group that is reported; of fewer a figure says nothing
MAX_VALUES = 30  # of a grouping column, the commonest


def measure_all(metrics: list[Metric], scored: Scored, measured_on: str, primary: str) -> tuple[Figure, ...]:
    """A figure for each metric that says something; the primary one comes with its interval."""
    figures = [
        measure(metric, scored, measured_on, with_interval=metric.name == primary)
        for metric in sorted(metrics, key=lambda one: one.name != primary)
    ]
    return tuple(figure for figure in figures if figure.value is not None)


def measure(metric: Metric, scored: Scored, measured_on: str, *, with_interval: bool) -> Figure:
    """The metric of all rows; its value is None where rows say nothing."""
    value, low, high = metric.measure(scored), np.nan, np.nan
    if with_interval:
        found = bootstrap(lambda rows: metric.measure(scored.select(rows)), scored.entity)
        low, high = found.low, found.high
    return Figure(name=metric.name, value=_number(value), measured_on=measured_on, low=_number(low), high=_number(high))


def measure_groups(metric: Metric, scored: Scored, data: PartnerData, rows: np.ndarray) -> tuple[GroupFigure, ...]:
    """The metric by every value of the partner's grouping columns. ``rows`` (n,) of ``data`` are those that are scored."""
    chosen = data.select(rows)
    found = []
    for column in data.partner.groups:
        values = np.asarray([NOT_STATED if value is None else str(value) for value in chosen.column(column)])
        names, counts = np.unique(values, return_counts=True)
        order = np.argsort(-counts, kind="stable")[:MAX_VALUES]
        if list(names) != [NOT_STATED]:
            found += [
                _measure_group(metric, scored, column, names[place], values) for place in order if counts[place] >= MIN_ROWS
            ]
    return tuple(found)


def _measure_group(metric: Metric, scored: Scored, column: str, value: str, values: np.ndarray) -> GroupFigure:
    part = scored.select(np.flatnonzero(values == value))
    positives = int(part.targets.sum()) if part.targets.dtype == bool else None
    figure = measure(metric, part, f"{column} {value}", with_interval=True)
    return GroupFigure(column=column, value=str(value), rows=len(part), positives=positives, figure=figure)


def _number(value: float) -> float | None:
    return round(float(value), 6) if np.isfinite(value) else None
