"""Balance plans say how a training set is divided among languages. They are pure values, from a preset's name or a JSON file.

A plan weighs languages by their size to the power of ``exponent`` and keeps each share between ``floor`` and ``cap``:

    cap-floor    exponent 1, no language above 25%, each at least 5%                      (reference §1)
    multinomial  exponent 0.5: p ∝ n^0.5                           (Conneau et al. 2020, "XLM-R"; they use 0.3)
    unimax       exponent 0: as even as max_repeats allows         (Chung et al. 2023, "UniMax")
    natural      exponent 1: the shares that the catalogue has
"""

import json
from dataclasses import asdict, dataclass, fields, replace
from typing import Literal, get_args

from m5model.files import storage
from schemas.checks import is_number, is_whole, require
from schemas.errors import ConfigurationError
from schemas.report import JsonValue

Unit = Literal["rows", "tokens"]
MAX_ROWS = 10**15  # rows or tokens; a double counts them exactly
MAX_REPEATS = 1_000  # a row that often is no training set any more


@dataclass(frozen=True, kw_only=True)
class BalancePlan:
    """What is asked for. Shares are of the set's ``unit``."""

    name: str
    cap: float = 1.0  # largest share of one language
    floor: float = 0.0  # smallest share of one language
    exponent: float = 1.0  # 0: all languages alike, 1: as they are
    rows: int | None = None  # size in ``unit``; None: as much as the plan allows without repeats
    max_repeats: int = 1  # how often a row may be in the set, where ``rows`` asks for more than there are
    unit: Unit = "rows"  # what shares and size are counted in

    def __post_init__(self) -> None:
        highest = self.cap if is_number(self.cap, 0, 1) else 1
        rules = {
            f"name is {self.name!r}, expected text": isinstance(self.name, str) and self.name != "",
            f"cap is {self.cap!r}, expected above 0 and at most 1": is_number(self.cap, 0, 1) and self.cap > 0,
            f"floor is {self.floor!r}, expected 0 to the cap ({self.cap!r})": is_number(self.floor, 0, highest),
            f"exponent is {self.exponent!r}, expected 0 to 1": is_number(self.exponent, 0, 1),
            f"rows is {self.rows!r}, expected a whole number from 1 to {MAX_ROWS:,}": self.rows is None
            or is_whole(self.rows, 1, MAX_ROWS),
            f"max_repeats is {self.max_repeats!r}, expected a whole number from 1 to {MAX_REPEATS:,}": is_whole(
                self.max_repeats, 1, MAX_REPEATS
            ),
            f"unit is {self.unit!r}, expected {' or '.join(get_args(Unit))}": self.unit in get_args(Unit),
        }
        require(f"balance plan {self.name!r}", rules)

    def as_json(self) -> dict[str, JsonValue]:
        return asdict(self)


def cap_floor() -> BalancePlan:
    """No language above 25%, each at least 5%."""
    return BalancePlan(name="cap-floor", cap=0.25, floor=0.05)


def multinomial() -> BalancePlan:
    """Shares in proportion to the square root of a language's size."""
    return BalancePlan(name="multinomial", exponent=0.5)


def unimax() -> BalancePlan:
    """All languages alike, but no row more than four times: what a small language cannot give goes to the others."""
    return BalancePlan(name="unimax", exponent=0.0, max_repeats=4)


def natural() -> BalancePlan:
    """The shares that the catalogue has."""
    return BalancePlan(name="natural")


PRESETS = {"cap-floor": cap_floor, "multinomial": multinomial, "unimax": unimax, "natural": natural}


def read_plan(reference: str) -> BalancePlan:
    """A preset's name, or a JSON file with the plan's fields (``plan``: the preset that they change)."""
    if reference in PRESETS:
        return PRESETS[reference]()
    try:
        values = json.loads(storage.read_bytes(reference))
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"--plan {reference!r} is neither a preset ({', '.join(PRESETS)}) nor a readable JSON file: {error}"
        ) from error
    return _from_json(values, reference)


def _from_json(values: object, reference: str) -> BalancePlan:
    known = {field.name for field in fields(BalancePlan)} | {"plan"}
    advice = f"the keys are {', '.join(sorted(known))}"
    if not isinstance(values, dict):
        raise ConfigurationError(f"{reference} holds no JSON object", next_step=advice)
    problems = [f"unknown keys {', '.join(sorted(set(values) - known))}"] if set(values) - known else []
    preset = PRESETS.get(str(values.get("plan", "natural")))
    if preset is None:
        problems.append(f"plan is {values['plan']!r}, expected one of {', '.join(PRESETS)}")
    given = {name: value for name, value in values.items() if name in known - {"plan"}}
    try:
        plan = replace((preset or natural)(), **{"name": reference.rpartition("/")[2].removesuffix(".json"), **given})
    except ConfigurationError as error:
        problems.append(str(error.args[0]))
    if problems:
        raise ConfigurationError(f"{reference}: " + "; ".join(problems), next_step=advice)
    return plan
