"""How many rows of each language a training set gets. Pure values: a plan is made and shown before anything is drawn.

``cap-floor``: natural shares, clipped so that no language is above the cap and none below the floor (reference §1).
"""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields

from m5model import storage
from schemas.errors import ConfigurationError, GateRefusedError
from schemas.report import JsonValue


@dataclass(frozen=True, kw_only=True)
class BalancePlan:
    """What is asked for. Shares are of the set's rows."""

    name: str
    cap: float = 1.0  # largest share of one language
    floor: float = 0.0  # smallest share of one language
    rows: int | None = None  # None: as many as the plan allows without repeating a row

    def __post_init__(self) -> None:
        problems = []
        if not 0 < self.cap <= 1:
            problems.append(f"cap is {self.cap}, expected above 0 and at most 1")
        if not 0 <= self.floor <= self.cap:
            problems.append(f"floor is {self.floor}, expected 0 to the cap ({self.cap})")
        if self.rows is not None and self.rows < 1:
            problems.append(f"rows is {self.rows}, expected at least 1")
        if problems:
            raise ConfigurationError(f"balance plan {self.name!r}: " + "; ".join(problems))

    def as_json(self) -> dict[str, JsonValue]:
        return asdict(self)


def cap_floor() -> BalancePlan:
    """No language above 25%, each at least 5%."""
    return BalancePlan(name="cap-floor", cap=0.25, floor=0.05)


def natural() -> BalancePlan:
    """Every row, in the shares that the catalogue has."""
    return BalancePlan(name="natural")


PRESETS = {"cap-floor": cap_floor, "natural": natural}


def read_plan(reference: str) -> BalancePlan:
    """A preset's name, or a JSON file with the plan's fields."""
    if reference in PRESETS:
        return PRESETS[reference]()
    try:
        values = json.loads(storage.read_bytes(reference))
    except (FileNotFoundError, json.JSONDecodeError) as error:
        raise ConfigurationError(
            f"--plan {reference!r} is neither a preset ({', '.join(PRESETS)}) nor a readable JSON file: {error}"
        ) from error
    known = {f.name for f in fields(BalancePlan)}
    unknown = sorted(set(values) - known)
    if unknown:
        raise ConfigurationError(f"{reference}: unknown keys {', '.join(unknown)}", next_step=f"use {', '.join(sorted(known))}")
    return BalancePlan(**{"name": reference.rpartition("/")[2].removesuffix(".json"), **values})


def allocate_rows(plan: BalancePlan, available: Mapping[str, int]) -> dict[str, int]:
    """Rows of each language, exact: they add up to the plan's rows and every share keeps cap and floor.

    ``available`` is rows by language. Raises ConfigurationError, with the nearest possible plan, where it cannot be done
    without repeating rows.
    """
    available = {language: count for language, count in sorted(available.items()) if count > 0}
    if not available:
        raise ConfigurationError(
            "there are no listings to sample from", next_step="run jobs/ingest_catalog.py --feed FEED first"
        )
    _check_shares(plan, len(available))
    largest = _largest_total(plan, available)
    rows = plan.rows if plan.rows is not None else largest
    if rows > largest or not rows:
        scarcest = min(available, key=lambda language: available[language])
        raise ConfigurationError(
            f"plan {plan.name!r} cannot draw {rows or plan.rows or 'any'} rows without repeats: {scarcest} has only "
            f"{available[scarcest]:,} listings for a floor of {plan.floor:.0%} (available: {dict(available)})",
            next_step=f"ask for at most {largest:,} rows, or lower the floor",
        )
    return _share_out(plan, available, rows)


def verify_balance(plan: BalancePlan, realised: Mapping[str, int]) -> None:
    """Raise GateRefusedError where a realised share breaks the cap or the floor."""
    total = sum(realised.values())
    broken = [
        f"{language} has {count / total:.2%}"
        for language, count in sorted(realised.items())
        if count > plan.cap * total + 1e-9 or count < plan.floor * total - 1e-9
    ]
    if broken:
        raise GateRefusedError(
            f"the drawn set breaks plan {plan.name!r} (floor {plan.floor:.0%}, cap {plan.cap:.0%}): {', '.join(broken)}",
            next_step="this is a defect of M5: nothing was written; report it with this message",
        )


def _check_shares(plan: BalancePlan, languages: int) -> None:
    if plan.cap * languages < 1 - 1e-9:
        raise ConfigurationError(
            f"plan {plan.name!r} is impossible: {languages} languages at most {plan.cap:.0%} each make "
            f"{plan.cap * languages:.0%}",
            next_step=f"raise the cap to at least {1 / languages:.2f}, or ingest more languages",
        )
    if plan.floor * languages > 1 + 1e-9:
        raise ConfigurationError(
            f"plan {plan.name!r} is impossible: {languages} languages at least {plan.floor:.0%} each make "
            f"{plan.floor * languages:.0%}",
            next_step=f"lower the floor to at most {1 / languages:.3f}",
        )


def _bounds(plan: BalancePlan, available: Mapping[str, int], rows: int) -> tuple[dict[str, int], dict[str, int]]:
    low = math.ceil(plan.floor * rows - 1e-9)
    high = math.floor(plan.cap * rows + 1e-9)
    return dict.fromkeys(available, low), {language: min(high, count) for language, count in available.items()}


def _is_possible(plan: BalancePlan, available: Mapping[str, int], rows: int) -> bool:
    low, high = _bounds(plan, available, rows)
    return all(low[k] <= high[k] for k in available) and sum(low.values()) <= rows <= sum(high.values())


def _largest_total(plan: BalancePlan, available: Mapping[str, int]) -> int:
    """Largest number of rows that the plan allows without repeats; 0 where there is none.

    The bounds grow with the total except for rounding, so a bisection finds the edge to within a few rows, and a short
    walk from a little above finds it exactly.
    """
    low, high = 0, sum(available.values())
    relaxed = BalancePlan(name=plan.name, cap=plan.cap, floor=plan.floor)
    while high - low > 1:
        middle = (low + high) // 2
        if _fits_before_rounding(relaxed, available, middle):
            low = middle
        else:
            high = middle
    return next((rows for rows in range(high, max(0, high - 1_000), -1) if _is_possible(plan, available, rows)), 0)


def _fits_before_rounding(plan: BalancePlan, available: Mapping[str, int], rows: int) -> bool:
    enough = all(plan.floor * rows <= count for count in available.values())
    return enough and rows <= sum(min(plan.cap * rows, count) for count in available.values())


def _share_out(plan: BalancePlan, available: Mapping[str, int], rows: int) -> dict[str, int]:
    """Natural shares within the bounds: scale them by one factor, found by bisection, and give the remainder out in order."""
    low, high = _bounds(plan, available, rows)

    def at(factor: float) -> dict[str, int]:
        return {k: min(max(math.floor(factor * count), low[k]), high[k]) for k, count in available.items()}

    below, above = 0.0, 1.0
    while sum(at(above).values()) < rows and above < 2.0**60:
        above *= 2
    for _ in range(200):
        middle = (below + above) / 2
        below, above = (middle, above) if sum(at(middle).values()) <= rows else (below, middle)
    counts = at(below)
    for language in sorted(available, key=lambda k: (-available[k], k)):
        room = min(high[language] - counts[language], rows - sum(counts.values()))
        counts[language] += max(0, room)
    return counts
