"""Parses flags that take numbers, for jobs and for ``m5``: every broken one is named at once, and only then is it an error."""

import argparse
import math
import re
from collections.abc import Callable
from dataclasses import dataclass

from schemas.checks import MAX_WHOLE, is_number, is_whole, require

MAX_THREADS = 1_024  # more than any machine's cores is a slip, and torch fails on it late


@dataclass(frozen=True)
class BrokenNumber:
    """Stands for what a flag was given, where that is no number that it takes."""

    text: str
    expected: str


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


def require_numbers(arguments: argparse.Namespace) -> None:
    """Raise ConfigurationError naming all flags of parsed ``arguments`` whose number is broken."""
    require("arguments", number_rules(arguments))


def number_rules(arguments: argparse.Namespace) -> dict[str, bool]:
    """The rules of schemas.checks that the broken numbers of parsed ``arguments`` break."""
    broken = {name: value for name, value in vars(arguments).items() if isinstance(value, BrokenNumber)}
    return {f"--{name.replace('_', '-')} is {value.text!r}, expected {value.expected}": False for name, value in broken.items()}
