"""Time that failures cost, and how often to write a checkpoint so that they cost least.

Sources: Young 1974 (the square-root rule); Daly 2006, whose expected time for exponential failures is
``M exp(R/M) (exp((t + d)/M) - 1) T/t`` for an interval t, a checkpoint of d, a restart of R and a mean time M between failures.
"""

import math
from dataclasses import dataclass

HOURS_PER_MONTH = 730.0
_STEPS = 80  # of the search: each keeps 62% of the interval


@dataclass(frozen=True, kw_only=True)
class FailurePlan:
    """Times in seconds."""

    mean_between: float  # failures of the whole fleet; infinite where nothing fails
    checkpoint: float  # to write one, while nothing is computed
    restart: float
    interval: float  # of computing between checkpoints: the best one
    total: float  # expected, of the whole run
    failures: float  # expected

    @property
    def young(self) -> float:
        """The square-root rule's interval."""
        return math.sqrt(2 * self.checkpoint * self.mean_between)


def plan_failures(computing: float, failures_per_hour: float, checkpoint: float, restart: float) -> FailurePlan:
    """For ``computing`` seconds of work."""
    mean = 3_600 / failures_per_hour if failures_per_hour > 0 else math.inf
    if math.isinf(mean):
        interval, total = computing, computing + checkpoint
    else:
        interval = best_interval(computing, mean, checkpoint, restart)
        total = expected_time(computing, interval, mean, checkpoint, restart)
    failures = 0.0 if math.isinf(mean) else total / mean
    return FailurePlan(
        mean_between=mean, checkpoint=checkpoint, restart=restart, interval=interval, total=total, failures=failures
    )


def expected_time(computing: float, interval: float, mean: float, checkpoint: float, restart: float) -> float:
    """Daly's; infinite where a stretch between checkpoints is hardly ever finished."""
    try:
        return mean * math.exp(restart / mean) * math.expm1((interval + checkpoint) / mean) * computing / interval
    except OverflowError:
        return math.inf


def best_interval(computing: float, mean: float, checkpoint: float, restart: float) -> float:
    """The interval of the least expected time: a golden-section search, as that time has one minimum."""
    low, high = min(1.0, computing), computing
    ratio = (math.sqrt(5) - 1) / 2
    for _ in range(_STEPS):
        left, right = high - ratio * (high - low), low + ratio * (high - low)
        times = [expected_time(computing, one, mean, checkpoint, restart) for one in (left, right)]
        low, high = (low, right) if times[0] <= times[1] else (left, high)
    return (low + high) / 2


def interruptions_per_hour(share_per_month: float) -> float:
    """The rate at which an instance is taken away, where that share of instances is within a month."""
    return -math.log1p(-share_per_month) / HOURS_PER_MONTH
