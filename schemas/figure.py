"""A figure: one number that a gate or a report states, with the threshold that it must meet."""

from dataclasses import dataclass
from typing import Literal

Bound = Literal["at least", "above", "at most", "below", "none"]


@dataclass(frozen=True, kw_only=True)
class Figure:
    """``name`` is ``value``, which must be ``bound`` ``threshold``. See m5model.gates.evidence."""

    name: str
    value: float | int | None  # None where it is no number: JSON has no NaN
    bound: Bound = "none"  # "none": stated only, refuses nothing
    threshold: float | int | None = None  # in the unit of the value; None where the bound is "none"
    holds: bool = True
    measured_on: str = ""  # e.g. "512 held-out texts"
    low: float | None = None  # the 95% within which the value lies; None where that was not measured
    high: float | None = None

    def __str__(self) -> str:
        return f"{self.name} {self.describe()}"

    def describe(self) -> str:
        """The value and what it had to be: ``0.91 (at least 0.95)``."""
        value = _shown(self.value)
        if self.low is not None and self.high is not None:
            value += f" [{_shown(self.low)}, {_shown(self.high)}]"
        return value if self.bound == "none" else f"{value} ({self.bound} {_shown(self.threshold)})"


def _shown(value: float | int | None) -> str:
    if value is None:
        return "no number"
    return f"{value:.6g}" if isinstance(value, float) else f"{value:,}"
