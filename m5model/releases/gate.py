"""The thresholds that a release must meet, as a value and as a TOML file.

max_gap = 0.01              # what the champion may have more, in any metric, where that is shown
max_language_gap = 0.02     # in any language

[labels.duplicates]         # of one label set alone
max_gap = 0.03
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields

import msgspec

from m5model.gates.files import read_thresholds
from schemas.checks import is_number, require
from schemas.errors import ConfigurationError


@dataclass(frozen=True, kw_only=True)
class ReleaseGate:
    """A gap is the champion's figure minus the bundle's, on the same rows. Raises ConfigurationError naming every problem.

    A gap refuses a bundle only where it is shown, see m5model.gates.intervals.shown_above_zero.
    """

    max_gap: float = 0.01
    max_language_gap: float = 0.02
    labels: Mapping[str, Mapping[str, float]] = field(default_factory=dict)  # of label sets, by name

    def __post_init__(self) -> None:
        rules = {f"{name} is {getattr(self, name)!r}, expected 0 to 1": is_number(getattr(self, name), 0, 1) for name in NAMES}
        for labels, values in self.labels.items():
            for name, value in values.items():
                rules[f"[labels.{labels}] has no {name}, expected one of {', '.join(NAMES)}"] = name in NAMES
                rules[f"[labels.{labels}] {name} is {value!r}, expected 0 to 1"] = is_number(value, 0, 1)
        require("release gate", rules)

    def limit(self, labels: str, *, language: bool) -> float:
        """The threshold of a label set's figure."""
        name = NAMES[1] if language else NAMES[0]
        value: float = self.labels.get(labels, {}).get(name, getattr(self, name))
        return value


NAMES = ("max_gap", "max_language_gap")


def read_gate(path: str) -> ReleaseGate:
    """The thresholds of a TOML file. Raises ConfigurationError for a name that there is not, or a value that makes no sense."""
    values = read_thresholds(path, "m5 release")
    known = [one.name for one in fields(ReleaseGate)]
    require(path, {f"there is no {name!r}, expected one of {', '.join(known)}": name in known for name in values})
    try:
        return msgspec.convert(values, ReleaseGate)
    except msgspec.ValidationError as error:
        raise ConfigurationError(f"{path}: {error}", next_step="change this value") from error
