"""Flags that kinds of plans share."""

import argparse
import json
import math
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from schemas.errors import ConfigurationError
from schemas.flags import BrokenNumber, number

LARGEST = 1e18  # tokens, dollars, hours
any_number = number(-LARGEST, LARGEST)


def add_prices(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--prices", metavar="FILE", help="a price table in the form of m5model/planning/fleet.toml")
    parser.add_argument("--spot", action="store_true", help="spot instances: cheaper, and interrupted")
    parser.add_argument("--hours", type=any_number, help="at most so many")
    parser.add_argument("--budget", type=any_number, metavar="DOLLARS", help="at most so many")
    parser.add_argument("--assume", nargs="+", default=[], metavar="NAME=VALUE", help="another value of an assumption")


def read_assumptions(pairs: Sequence[str], known: Mapping[str, float]) -> dict[str, float]:
    """``known`` with the values that ``NAME=VALUE`` pairs give. Raises ConfigurationError naming what there is to assume."""
    found = dict(known)
    for pair in pairs:
        name, _, text = pair.partition("=")
        value = any_number(text)
        if name not in known or isinstance(value, BrokenNumber):
            raise ConfigurationError(
                f"--assume {pair}: expected NAME=NUMBER",
                next_step=f"give one of: {', '.join(f'{n}={v:g}' for n, v in known.items())}",
            )
        found[name] = value
    return found


def write(as_json: bool, report: Mapping[str, Any], text: str) -> None:
    """One JSON object, or the page."""
    sys.stdout.write(json.dumps(_finite(report), ensure_ascii=False) + "\n" if as_json else text)


def _finite(value: Any) -> Any:
    """JSON has no infinity: null stands for it."""
    if isinstance(value, Mapping):
        return {name: _finite(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
