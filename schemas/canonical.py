"""Writes canonical JSON: equal values give equal text. Ids of runs and of renderings come from it."""

import json
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from typing import Any

from schemas.space import sha256_hex


def canonical_json(value: Any) -> str:
    """Returns keys sorted, no blanks, 1.0 as 1, tuples as lists, dataclasses as objects of their fields.

    Raises TypeError for what JSON does not hold, and ValueError for NaN and infinity: an id must not depend on how Python
    happens to print an object.
    """
    return json.dumps(_plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def identify(value: Any, digits: int = 12) -> str:
    """Returns that many hexadecimal digits of the SHA-256 of the canonical JSON."""
    return sha256_hex(canonical_json(value).encode())[:digits]


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return _plain(asdict(value))
    if isinstance(value, Mapping):
        if not all(isinstance(key, str) for key in value):
            raise TypeError(f"canonical JSON has text as keys, found {sorted(type(key).__name__ for key in value)}")
        return {key: _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value
