"""Flags that take numbers: every broken one is named at once, and only then does a job end with exit code 2."""

import argparse
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from schemas.checks import MAX_WHOLE, is_number, is_whole, require


@dataclass(frozen=True)
class BrokenNumber:
    """Stands for what a flag was given, where that is no number that it takes."""

    text: str
    expected: str


class JobParser(argparse.ArgumentParser):
    """Names all flags whose number is broken, where argparse names the first one."""

    def __init__(self, description: str) -> None:
        self._rules: list[Callable[[argparse.Namespace], Mapping[str, bool]]] = []
        super().__init__(
            description=description.strip(), formatter_class=argparse.ArgumentDefaultsHelpFormatter, allow_abbrev=False
        )

    def parse_args(self, args=None, namespace=None):  # type: ignore[no-untyped-def, override]  # as argparse has it
        """Raises ConfigurationError for broken numbers."""
        arguments = super().parse_args(args, namespace)
        broken = {name: value for name, value in vars(arguments).items() if isinstance(value, BrokenNumber)}
        rules = {
            f"--{name.replace('_', '-')} is {value.text!r}, expected {value.expected}": False for name, value in broken.items()
        }
        for rule in self._rules:
            rules |= rule(arguments)
        require("arguments", rules)
        return arguments

    def require_with(self, owner: str, *flags: str) -> None:
        """``flags`` mean something only beside ``owner``."""
        self._rules.append(
            lambda given: {f"{flag} needs {owner}": not _is_given(given, flag) or _is_given(given, owner) for flag in flags}
        )

    def refuse_with(self, owner: str, *flags: str) -> None:
        """``flags`` mean nothing beside ``owner``."""
        self._rules.append(
            lambda given: {
                f"{flag} means nothing beside {owner}": not (_is_given(given, flag) and _is_given(given, owner))
                for flag in flags
            }
        )


def _is_given(arguments: argparse.Namespace, flag: str) -> bool:
    """Flags that are asked about have no default that says something."""
    return getattr(arguments, flag.removeprefix("--").replace("-", "_")) not in (None, ())


def whole_number(low: int = -MAX_WHOLE, high: int = MAX_WHOLE) -> Callable[[str], int | BrokenNumber]:
    """The ``type`` of a flag that takes whole numbers from ``low`` to ``high``."""

    def parse(text: str) -> int | BrokenNumber:
        value = int(text) if re.fullmatch(r"[+-]?[0-9]{1,20}", text.strip()) else None
        if value is None or not is_whole(value, low, high):
            return BrokenNumber(text, f"a whole number from {low} to {high}")
        return value

    return parse


def whole_numbers(low: int, high: int) -> Callable[[str], tuple[int, ...] | BrokenNumber]:
    """The ``type`` of a flag that takes whole numbers from ``low`` to ``high``, separated by commas."""
    one = whole_number(low, high)

    def parse(text: str) -> tuple[int, ...] | BrokenNumber:
        values = [one(part) for part in text.split(",")]
        whole = tuple(value for value in values if isinstance(value, int))
        return whole if len(whole) == len(values) else BrokenNumber(text, f"whole numbers from {low} to {high}, as in 0,2,4")

    return parse


def number(low: float = -MAX_WHOLE, high: float = MAX_WHOLE) -> Callable[[str], float | BrokenNumber]:
    """The ``type`` of a flag that takes numbers from ``low`` to ``high``."""

    def parse(text: str) -> float | BrokenNumber:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        return value if is_number(value, low, high) else BrokenNumber(text, f"a number from {low:g} to {high:g}")

    return parse
