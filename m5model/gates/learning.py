"""Did a training learn its tasks? Each task's metric on held-out examples, before and after."""

from collections.abc import Iterable

from m5model.gates.evidence import judge, state
from m5model.training.stages import Measured
from schemas.figure import Figure


def figures_that_must_improve(measured: Iterable[Measured]) -> tuple[Figure, ...]:
    """``TASK_METRIC_before`` and ``TASK_METRIC_after``; the second must be better than the first."""
    return tuple(figure for one in measured for figure in (_before(one), _improved(one)))


def state_measured(measured: Iterable[Measured]) -> tuple[Figure, ...]:
    """The same figures, stated only."""
    return tuple(
        figure for one in measured for figure in (_before(one), state(f"{one.name}_after", one.after, one.measured_on))
    )


def _after(one: Measured) -> Figure:
    return state(f"{one.name}_after", one.after, one.measured_on)


def _before(one: Measured) -> Figure:
    return state(f"{one.name}_before", one.before, one.measured_on)


def _improved(one: Measured) -> Figure:
    return judge(f"{one.name}_after", one.after, "below" if one.lower_is_better else "above", one.before, one.measured_on)
