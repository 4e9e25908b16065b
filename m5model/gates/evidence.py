"""The gate mechanism: figures with thresholds, and one refusal that names every figure that fell short."""

import math
from collections.abc import Callable, Iterable

import numpy as np

from schemas.errors import GateRefusedError
from schemas.figure import Bound, Figure

# NaN meets no bound.
_MEETS: dict[Bound, Callable[[float, float], bool]] = {
    "at least": lambda value, threshold: value >= threshold,
    "above": lambda value, threshold: value > threshold,
    "at most": lambda value, threshold: value <= threshold,
    "below": lambda value, threshold: value < threshold,
}


def judge(name: str, value: float | int, bound: Bound, threshold: float | int, measured_on: str) -> Figure:
    """A figure that must be ``bound`` ``threshold``."""
    holds = bool(_MEETS[bound](value, threshold))
    return Figure(
        name=name, value=_number(value), bound=bound, threshold=_number(threshold), holds=holds, measured_on=measured_on
    )


def state(name: str, value: float | int | None, measured_on: str) -> Figure:
    """A figure that refuses nothing."""
    return Figure(name=name, value=_number(value), measured_on=measured_on)


def refuse_unless_all_hold(figures: Iterable[Figure], problem: str, next_step: str) -> None:
    """Raise GateRefusedError with ``problem`` and every figure that does not hold."""
    failed = [figure for figure in figures if not figure.holds]
    if failed:
        measured_on = ", ".join(sorted({figure.measured_on for figure in failed if figure.measured_on}))
        raise GateRefusedError(
            f"{problem}: {'; '.join(map(str, failed))}{f', on {measured_on}' if measured_on else ''}", next_step=next_step
        )


def _number(value: float | int | None) -> float | int | None:
    """JSON has neither NaN nor infinity, and none of numpy's numbers."""
    value = value.item() if isinstance(value, np.generic) else value
    return value if value is not None and math.isfinite(value) else None
