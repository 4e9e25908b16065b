"""Intervals of a measured figure: bootstrap over entities, so that rows of one product never vote as many."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

RESAMPLES = 200
PERCENT = (2.5, 97.5)


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A value and the 95% within which it lies when entities are drawn anew."""

    value: float
    low: float
    high: float


def bootstrap(measure: Callable[[np.ndarray], float], entity: np.ndarray, resamples: int = RESAMPLES) -> Interval:
    """``measure(rows)`` of all rows (n,) int64, and its 2.5th and 97.5th percentile over resampled entities.

    ``entity`` (n,) says whose each row is. Draws are the same every time. A resample for which the measure is no number says
    nothing. Source: the cluster bootstrap (Field and Welsh 2007).
    """
    _, member = np.unique(entity, return_inverse=True)
    order = np.argsort(member, kind="stable")
    rows_of = np.split(order, np.cumsum(np.bincount(member))[:-1])
    draw = np.random.default_rng(0)
    values = [
        measure(np.concatenate([rows_of[one] for one in draw.integers(0, len(rows_of), len(rows_of))]))
        for _ in range(resamples)
    ]
    numbers = [value for value in values if np.isfinite(value)]
    low, high = np.percentile(numbers, PERCENT) if numbers else (np.nan, np.nan)
    return Interval(value=measure(np.arange(len(entity))), low=float(low), high=float(high))
