"""A figure of a student's examination, with the threshold of the gate file that judged it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from m5model.gates.evidence import judge, state
from m5model.gates.intervals import Interval
from schemas.figure import Bound, Figure


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """A figure, what judged it, and what would let it pass.

    ``setting`` is GROUP.NAME of the gate file (GROUP.languages.CODE.NAME of one language alone), and ``passing`` the value of
    it that this figure would meet.
    """

    figure: Figure
    setting: str = ""  # empty where nothing judges it
    passing: float = 0.0


def judged(
    name: str, found: Interval | float, bound: Bound, threshold: float | None, measured_on: str, setting: str
) -> Verdict:
    """A figure beside its threshold; stated only where there is no threshold."""
    value = found.value if isinstance(found, Interval) else found
    figure = state(name, value, measured_on) if threshold is None else judge(name, value, bound, threshold, measured_on)
    if isinstance(found, Interval):
        figure = replace(figure, low=found.low, high=found.high)
    return Verdict(figure=figure, setting=setting, passing=value)


def nearest_gate(failed: Sequence[Verdict]) -> str:
    """The lines of a gate file under which the failed figures would hold."""
    groups: dict[str, dict[str, float]] = {}
    for verdict in failed:
        if not verdict.setting:
            continue
        group, _, name = verdict.setting.rpartition(".")  # the group of one language alone has dots in its name
        known = groups.setdefault(group, {})
        passing = _rounded(verdict.passing, down=name.startswith("min_"))
        loosest = min if name.startswith("min_") else max
        known[name] = loosest(known.get(name, passing), passing)
    return "\n".join(
        "\n".join([f"  [{group}]", *(f"  {name} = {value:.4f}" for name, value in names.items())])
        for group, names in groups.items()
    )


def _rounded(value: float, *, down: bool) -> float:
    """To four places, towards what lets more pass."""
    scaled = math.floor(value * 1e4) if down else math.ceil(value * 1e4)
    return scaled / 1e4
