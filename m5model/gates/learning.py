"""Did a training learn its tasks? Each task's metric on held-out examples, before and after."""

from collections.abc import Iterable, Mapping

from m5model.gates.evidence import judge, state
from m5model.training.stages import Measured
from schemas.figure import Figure


def figures_that_must_improve(measured: Iterable[Measured]) -> tuple[Figure, ...]:
    """``TASK_METRIC_before`` and ``TASK_METRIC_after``; the second must be better than the first."""
    return tuple(figure for one in measured for figure in (_before(one), _improved(one)))


def figures_that_must_reach(measured: Iterable[Measured], thresholds: Mapping[str, float]) -> tuple[Figure, ...]:
    """The same figures; those after training must reach the threshold of their ``TASK_METRIC``, where it has one."""
    return tuple(figure for one in measured for figure in (_before(one), _reached(one, thresholds.get(one.name))))


def _before(one: Measured) -> Figure:
    return state(f"{one.name}_before", one.before, one.measured_on)


def _improved(one: Measured) -> Figure:
    return judge(f"{one.name}_after", one.after, "below" if one.lower_is_better else "above", one.before, one.measured_on)


def _reached(one: Measured, threshold: float | None) -> Figure:
    name = f"{one.name}_after"
    if threshold is None:
        return state(name, one.after, one.measured_on)
    return judge(name, one.after, "at most" if one.lower_is_better else "at least", threshold, one.measured_on)
