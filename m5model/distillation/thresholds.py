"""The thresholds that a student must meet, as a value and as a file.

    [agreement]
    min_correlation = 0.8

A file names the thresholds that it changes; the others keep their defaults. Thresholds are in no recipe, because a threshold
changes no vector.
"""

import tomllib
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any

import msgspec

from m5model.export.parity import ParityThresholds
from m5model.files import storage
from schemas.checks import is_number, require
from schemas.errors import ConfigurationError


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """Of the student's int8 vectors with the teachers': Pearson, over pairs of held-out texts, of the similarities."""

    min_correlation: float = 0.8
    # What a language lacks to 1, by what all lack on average. 2: no language loses more than twice as much.
    max_language_ratio: float = 2.0
    # A language that lacks no more than this passes whatever the others lack.
    language_slack: float = 0.05

    def __post_init__(self) -> None:
        require(
            "gate, agreement",
            {
                f"min_correlation is {self.min_correlation}, expected -1 to 1": is_number(self.min_correlation, -1, 1),
                f"max_language_ratio is {self.max_language_ratio}, expected 1 or more": is_number(self.max_language_ratio, 1),
                f"language_slack is {self.language_slack}, expected 0 to 2": is_number(self.language_slack, 0, 2),
            },
        )


@dataclass(frozen=True, kw_only=True)
class Pairs:
    """On labelled pairs of the split test, where a label set is given: what the teacher has more than the int8 student."""

    max_average_precision_gap: float = 0.03
    max_roc_auc_gap: float = 0.02
    max_recall_gap: float = 0.05  # recall at 10 of the matching listing
    # Of a language, where the interval of its gap shows that there is one.
    max_language_gap: float = 0.06

    def __post_init__(self) -> None:
        rules = {f"{name} is {value}, expected 0 to 1": is_number(value, 0, 1) for name, value in vars(self).items()}
        require("gate, pairs", rules)


@dataclass(frozen=True, kw_only=True)
class Cost:
    """States what a student may take; nothing is refused by default. Milliseconds are of one text, one thread, this machine."""

    max_int8_mb: float | None = None
    max_ms_at_32_tokens: float | None = None
    max_ms_at_512_tokens: float | None = None
    max_truncated_share: float | None = None  # of the held-out texts of any language
    max_token_premium: float | None = None  # tokens per character of a language, by those of all texts

    def __post_init__(self) -> None:
        rules = {
            f"{name} is {value}, expected 0 or more": value is None or is_number(value, 0) for name, value in vars(self).items()
        }
        require("gate, cost", rules)


@dataclass(frozen=True, kw_only=True)
class StudentGate:
    """All thresholds. Each group is a table of the file."""

    agreement: Agreement = field(default_factory=Agreement)
    pairs: Pairs = field(default_factory=Pairs)
    cost: Cost = field(default_factory=Cost)
    parity: ParityThresholds = field(default_factory=ParityThresholds)


def read_gate(path: str) -> StudentGate:
    """The thresholds of a TOML file. Raises ConfigurationError for a name that there is not, or a value that makes no sense."""
    try:
        values = tomllib.loads(storage.read_bytes(path).decode("utf-8-sig"))
    except FileNotFoundError as error:
        raise ConfigurationError(
            f"there is no gate file {path}", next_step="write one; `m5 distill --help` shows how"
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} is no TOML: {error}", next_step="see `m5 distill --help`") from error
    _refuse_unknown(path, values)
    try:
        return msgspec.convert(values, StudentGate)
    except msgspec.ValidationError as error:
        raise ConfigurationError(f"{path}: {error}", next_step="change this value") from error


def _refuse_unknown(path: str, values: dict[str, Any]) -> None:
    """msgspec leaves unknown names aside; a misspelt threshold would then guard nothing."""
    groups = {one.name: {each.name for each in fields(one.default_factory())} for one in _groups()}
    rules = {}
    for name, group in values.items():
        known = ", ".join(sorted(groups.get(name, groups)))
        rules[f"there is no [{name}], expected one of {known}"] = name in groups and isinstance(group, dict)
        for key in group if isinstance(group, dict) and name in groups else ():
            rules[f"[{name}] has no {key}, expected one of {known}"] = key in groups[name]
    require(f"gate {path}", rules)


def _groups() -> list[Any]:
    return [one for one in fields(StudentGate) if is_dataclass(one.default_factory)]
