"""Flags that take numbers: every broken one is named at once, and only then does a job end with exit code 2."""

import argparse
import math
import re
from collections.abc import Callable
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
        require("arguments", rules)
        return arguments


def whole_number(low: int = -MAX_WHOLE, high: int = MAX_WHOLE) -> Callable[[str], int | BrokenNumber]:
    """The ``type`` of a flag that takes whole numbers from ``low`` to ``high``."""

    def parse(text: str) -> int | BrokenNumber:
        value = int(text) if re.fullmatch(r"[+-]?[0-9]{1,20}", text.strip()) else None
        if value is None or not is_whole(value, low, high):
            return BrokenNumber(text, f"a whole number from {low} to {high}")
        return value

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
