"""Finds the smallest fleet that will do, for trainings and for embeddings."""

from collections.abc import Callable
from typing import TypeVar

Plan = TypeVar("Plan")


def find_fewest(attempt: Callable[[int], Plan | None], most: int) -> Plan | None:
    """``attempt(count)`` of the least count that gives a plan; None where no power of two up to ``most`` gives one.

    Found by doubling, then halving: larger fleets may fail again, where communication eats what more devices give.
    """
    count, plan = 1, None
    while count <= most:
        plan = attempt(count)
        if plan:
            break
        count *= 2
    if plan is None:
        return None
    low, high = count // 2, count
    while high - low > 1:
        middle = (low + high) // 2
        found = attempt(middle)
        low, high, plan = (low, middle, found) if found else (middle, high, plan)
    return plan
