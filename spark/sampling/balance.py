"""Computes how much of each language and locale a training set gets: shown before anything is drawn, verified after.

One method for all plans: languages are weighed by size^exponent, the weights are scaled by one factor, and each language is
kept between its bounds (floor, cap, and what there is times ``max_repeats``). With exponent 0 that is UniMax's filling.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

from schemas.errors import ConfigurationError, GateRefusedError
from spark.sampling.plans import BalancePlan

Cell = tuple[str, str]  # language, locale
Key = TypeVar("Key")
TOLERANCE = 1e-9


@dataclass(frozen=True, kw_only=True)
class Allocation:
    """What a plan gives on a catalogue, in the plan's unit."""

    plan: BalancePlan
    available: Mapping[str, int]  # by language
    languages: Mapping[str, int]
    cells: Mapping[Cell, int]

    @property
    def total(self) -> int:
        return sum(self.languages.values())

    def describe(self) -> str:
        """A line a language: wanted, of how much, share before and after, repeats."""
        stock = sum(self.available.values())
        lines = [
            f"  {language:5} {wanted:>13,} of {self.available[language]:>13,}   {self.available[language] / stock:6.2%} → "
            f"{wanted / self.total:6.2%}   {wanted / self.available[language]:.2f} times"
            for language, wanted in self.languages.items()
        ]
        head = f"plan {self.plan.name}: {self.total:,} {self.plan.unit} (floor {self.plan.floor:.0%}, cap {self.plan.cap:.0%}, "
        return "\n".join([f"{head}exponent {self.plan.exponent:g}, at most {self.plan.max_repeats} times)", *lines])


def allocate(plan: BalancePlan, available: Mapping[Cell, int]) -> Allocation:
    """Shares of languages, and within a language of its locales, in proportion to what they have. Exact: they add up.

    ``available``: rows or tokens by (language, locale). Raises ConfigurationError, with the nearest possible plan, where it
    cannot be done.
    """
    by_language: dict[str, int] = {}
    for (language, _), count in sorted(available.items()):
        by_language[language] = by_language.get(language, 0) + count
    languages = allocate_languages(plan, by_language)
    cells: dict[Cell, int] = {}
    for language, wanted in languages.items():
        own = {cell: count for cell, count in available.items() if cell[0] == language and count > 0}
        repeats = max(1, math.ceil(wanted / by_language[language]))
        high = {cell: count * repeats for cell, count in own.items()}
        cells |= _share_out({cell: float(count) for cell, count in own.items()}, dict.fromkeys(own, 0), high, wanted)
    present = {language: count for language, count in by_language.items() if count > 0}
    return Allocation(plan=plan, available=present, languages=languages, cells=cells)


def allocate_languages(plan: BalancePlan, available: Mapping[str, int]) -> dict[str, int]:
    """Rows or tokens of each language: they add up to the plan's size, and every share keeps cap and floor."""
    available = {language: count for language, count in sorted(available.items()) if count > 0}
    if not available:
        raise ConfigurationError(
            "there are no listings to sample from", next_step="run jobs/ingest_catalog.py --feed FEED first"
        )
    _check_shares(plan, len(available))
    weights = {language: count**plan.exponent for language, count in available.items()}
    repeats = plan.max_repeats if plan.rows is not None else 1
    stock = {language: count * repeats for language, count in available.items()}
    largest = largest_total(plan, weights, stock)
    total = plan.rows if plan.rows is not None else largest
    if total > largest or not total:
        raise _impossible(plan, available, total, largest)
    low, high = _bounds(plan, stock, total)
    return _share_out(weights, low, high, total)


def largest_total(plan: BalancePlan, weights: Mapping[str, float], stock: Mapping[str, int]) -> int:
    """Largest size that the plan allows on this stock; 0 where there is none.

    A multinomial plan (exponent between 0 and 1) means its shares: it ends where the first language runs out. The others
    fill up what they can: the bounds grow with the total except for rounding, so a bisection finds the edge to within a few
    rows, and a short walk from a little above finds it exactly.
    """
    if 0 < plan.exponent < 1 and plan.cap == 1 and plan.floor == 0:
        everything = sum(weights.values())
        return min(math.floor(count * everything / weights[language] + TOLERANCE) for language, count in stock.items())
    low, high = 0, sum(stock.values())
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if _fits_before_rounding(plan, stock, middle) else (low, middle)
    return next((total for total in range(high, max(0, high - 1_000), -1) if _is_possible(plan, stock, total)), 0)


def verify_balance(plan: BalancePlan, realised: Mapping[str, int], slack: int = 0) -> None:
    """Raise GateRefusedError where a realised share breaks the cap or the floor.

    ``slack``: what the last row of a language may miss, 0 where rows are counted.
    """
    total = sum(realised.values())
    broken = [
        f"{language} has {count / total:.2%}"
        for language, count in sorted(realised.items())
        if count - slack > plan.cap * total + TOLERANCE or count + slack < plan.floor * total - TOLERANCE
    ]
    if broken:
        raise GateRefusedError(
            f"the drawn set breaks plan {plan.name!r} (floor {plan.floor:.0%}, cap {plan.cap:.0%}): {', '.join(broken)}",
            next_step="this is a defect of M5: nothing was written; report it with this message",
        )


def verify_allocation(allocation: Allocation, realised: Mapping[Cell, int], slack: int = 0) -> None:
    """Raise GateRefusedError unless every (language, locale) got what the plan gives it, to the row.

    ``slack``: the longest row where tokens are counted; a cell may fall short by less than that.
    """
    wrong = [
        f"{language} in {locale}: {realised.get((language, locale), 0):,}, planned {wanted:,}"
        for (language, locale), wanted in allocation.cells.items()
        if not wanted - slack <= realised.get((language, locale), 0) <= wanted
    ]
    if wrong or set(realised) - set(allocation.cells):
        raise GateRefusedError(
            f"the drawn set is not what plan {allocation.plan.name!r} gives: "
            f"{'; '.join(wrong) or 'languages that were not planned'}",
            next_step="this is a defect of M5: nothing was written; report it with this message",
        )
    by_language: dict[str, int] = {}
    for (language, _), count in realised.items():
        by_language[language] = by_language.get(language, 0) + count
    verify_balance(allocation.plan, by_language, slack * max(1, len(allocation.cells)))


def _impossible(plan: BalancePlan, available: Mapping[str, int], total: int, largest: int) -> ConfigurationError:
    scarcest = min(available, key=lambda language: available[language])
    repeats = f"at most {plan.max_repeats} times each" if plan.max_repeats > 1 else "without repeats"
    needed = math.ceil(plan.floor * total / available[scarcest]) if plan.floor else 0
    advice = [f"ask for at most {largest:,} {plan.unit}"] if largest else []
    if needed > plan.max_repeats:
        reachable = available[scarcest] * plan.max_repeats / total
        advice += [f"lower the floor to {math.floor(reachable * 1e4) / 1e4:g}", f"set max_repeats to {needed}"]
    return ConfigurationError(
        f"plan {plan.name!r} cannot draw {total or plan.rows or 'any'} {plan.unit} {repeats}: {scarcest} has only "
        f"{available[scarcest]:,} for a floor of {plan.floor:.0%} (available: {dict(available)})",
        next_step=", or ".join(advice) or "lower the floor, or leave languages out",
    )


def _check_shares(plan: BalancePlan, languages: int) -> None:
    if plan.cap * languages < 1 - TOLERANCE:
        raise ConfigurationError(
            f"plan {plan.name!r} is impossible: {languages} languages at most {plan.cap:.0%} each make "
            f"{plan.cap * languages:.0%}",
            next_step=f"raise the cap to at least {1 / languages:.2f}, or ingest more languages",
        )
    if plan.floor * languages > 1 + TOLERANCE:
        raise ConfigurationError(
            f"plan {plan.name!r} is impossible: {languages} languages at least {plan.floor:.0%} each make "
            f"{plan.floor * languages:.0%}",
            next_step=f"lower the floor to at most {1 / languages:.3f}",
        )


def _bounds(plan: BalancePlan, stock: Mapping[str, int], total: int) -> tuple[dict[str, int], dict[str, int]]:
    low = math.ceil(plan.floor * total - TOLERANCE)
    high = math.floor(plan.cap * total + TOLERANCE)
    return dict.fromkeys(stock, low), {language: min(high, count) for language, count in stock.items()}


def _is_possible(plan: BalancePlan, stock: Mapping[str, int], total: int) -> bool:
    low, high = _bounds(plan, stock, total)
    return all(low[k] <= high[k] for k in stock) and sum(low.values()) <= total <= sum(high.values())


def _fits_before_rounding(plan: BalancePlan, stock: Mapping[str, int], total: int) -> bool:
    enough = all(plan.floor * total <= count for count in stock.values())
    return enough and total <= sum(min(plan.cap * total, count) for count in stock.values())


def _share_out(weights: Mapping[Key, float], low: Mapping[Key, int], high: Mapping[Key, int], total: int) -> dict[Key, int]:
    """``total`` in proportion to the weights within the bounds: one factor, found by bisection; the largest remainders next."""

    def at(factor: float) -> dict[Key, int]:
        return {k: min(max(math.floor(factor * weight), low[k]), high[k]) for k, weight in weights.items()}

    below, above = 0.0, 1.0
    while sum(at(above).values()) < total and above < 2.0**80:
        above *= 2
    for _ in range(200):
        middle = (below + above) / 2
        below, above = (middle, above) if sum(at(middle).values()) <= total else (below, middle)
    counts = at(below)
    order = sorted(weights, key=lambda k: (-(below * weights[k] % 1), -weights[k], str(k)))
    while (rest := total - sum(counts.values())) > 0:
        with_room = [key for key in order if counts[key] < high[key]][:rest]
        if not with_room:
            break
        for key in with_room:
            counts[key] += 1
    return counts
