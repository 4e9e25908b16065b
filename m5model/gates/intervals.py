"""Intervals of a measured figure: bootstrap over entities, so that rows of one product never vote as many."""

import math
from collections.abc import Callable, Sequence
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
    error: float = 0.0  # standard deviation over the draws


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
    error = float(np.std(numbers)) if numbers else np.nan
    return Interval(value=measure(np.arange(len(entity))), low=float(low), high=float(high), error=error)


def shown_above_zero(intervals: Sequence[Interval], level: float = 0.05) -> list[bool]:
    """Of which values is it shown that they are above zero, if all are looked at together?

    A normal test of each value by its error, and Holm's correction ("A simple sequentially rejective multiple test procedure",
    1979): that any of those that are called shown is not so has at most the probability ``level``, however many there are.
    """
    chances = [_chance(one) for one in intervals]
    shown = [False] * len(intervals)
    for place, number in enumerate(sorted(range(len(intervals)), key=lambda one: chances[one])):
        if chances[number] > level / (len(intervals) - place):
            break
        shown[number] = True
    return shown


def _chance(found: Interval) -> float:
    """One-sided: of a value at least so large where the true one is zero. 1 where nothing was measured."""
    if not np.isfinite(found.value) or not np.isfinite(found.error) or found.value <= 0:
        return 1.0
    return 0.5 * math.erfc(found.value / found.error / math.sqrt(2)) if found.error > 0 else 0.0
