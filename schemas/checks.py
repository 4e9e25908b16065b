"""Checks of settings objects, and of names that become paths: every broken rule at once, before any data is read."""

import math
import re
import unicodedata
from collections.abc import Mapping

from schemas.errors import ConfigurationError, DamagedFileError

# What a 32-bit integer holds: seeds, counts and threads go to libraries that take no more.
MAX_WHOLE = 2**31 - 1

# Filesystems allow 255 bytes of UTF-8 in a name; the rest is for what M5 appends (".pin.json", ".1234.partial").
MAX_NAME_BYTES = 200
# A manifest's file names come from Spark and Hugging Face; S3 allows a key of 1,024 bytes.
MAX_FILE_BYTES = 900

# Categories of Unicode: controls, invisible format marks, lone surrogates, line and paragraph separators.
_UNPRINTABLE = {"Cc", "Cf", "Cs", "Zl", "Zp"}
_SCHEME_OR_DRIVE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")


def require(owner: str, rules: Mapping[str, bool]) -> None:
    """Raise ``ConfigurationError`` naming every rule of ``rules`` (sentence → holds) that does not hold."""
    broken = [rule for rule, holds in rules.items() if not holds]
    if broken:
        raise ConfigurationError(f"{owner}: {'; '.join(broken)}", next_step="change these settings")


def is_whole(value: object, low: int = 0, high: int = MAX_WHOLE) -> bool:
    """Is ``value`` a whole number from ``low`` to ``high``? True, 1.0 and "1" are none."""
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def is_number(value: object, low: float = -math.inf, high: float = math.inf) -> bool:
    """Is ``value`` a finite number from ``low`` to ``high``? True, "1" and NaN are none."""
    is_real = isinstance(value, int | float) and not isinstance(value, bool)
    return is_real and low <= value <= high and abs(value) != math.inf  # type: ignore[operator, arg-type]


def at_least(settings: object, **least: int) -> dict[str, bool]:
    """Rules for ``require``: these fields are whole numbers, each from its least one on."""
    values = {name: getattr(settings, name) for name in least}
    return {f"{name} is {values[name]!r}, expected {low} or more": is_whole(values[name], low) for name, low in least.items()}


def from_0_to_1(settings: object, *names: str) -> dict[str, bool]:
    """Rules for ``require``: these fields are numbers from 0 to 1."""
    values = {name: getattr(settings, name) for name in names}
    return {f"{name} is {value!r}, expected 0 to 1": is_number(value, 0, 1) for name, value in values.items()}


def true_or_false(settings: object, *names: str) -> dict[str, bool]:
    """Rules for ``require``: these fields are booleans."""
    values = {name: getattr(settings, name) for name in names}
    return {f"{name} is {value!r}, expected true or false": isinstance(value, bool) for name, value in values.items()}


def require_name(what: str, text: str) -> str:
    """``text``, where it is safe as one part of a path; else ConfigurationError. ``what`` says whose name it is."""
    problem = _name_problem(text)
    if problem:
        raise ConfigurationError(
            f"{what} is {text!r}: {problem}; expected one part of a path, such as de-2026-11",
            next_step="give a name of letters, digits, '.', '_' and '-' that begins with a letter or a digit",
        )
    return text


def is_name(text: str) -> bool:
    """Is ``text`` safe as one part of a path?"""
    return not _name_problem(text)


def require_relative_file(where: str, text: object) -> str:
    """``text``, where it names a file below the folder of the manifest ``where``; else DamagedFileError."""
    problem = _file_problem(text)
    if problem:
        raise DamagedFileError(
            f"{where} lists the file {text!r}: {problem}; expected a path below its own folder, such as data/part-0.parquet",
            next_step="do not use this folder; restore it from where it came from, or make it again",
        )
    return str(text)


def _name_problem(text: str) -> str:
    if text.startswith((".", "-")):
        return f"it begins with {text[0]!r}"
    if text != text.strip():
        return "it begins or ends with a blank"
    return _part_problem(text, MAX_NAME_BYTES)


def _file_problem(text: object) -> str:
    if not isinstance(text, str):
        return f"it is a {type(text).__name__}, not text"
    if _SCHEME_OR_DRIVE.match(text):
        return "it begins with a drive or a URI's scheme"
    problems = (_part_problem(part, MAX_FILE_BYTES) for part in (*text.split("/"), text.replace("/", "_")))
    return next((problem for problem in problems if problem), "")


def _part_problem(text: str, max_bytes: int) -> str:
    """Says what keeps ``text`` from being one part of a path; empty where nothing does."""
    if text in ("", ".", ".."):
        return "a part of it is empty" if not text else f"it holds the part {text!r}"
    wrong = sorted({character for character in text if character in "/\\" or unicodedata.category(character) in _UNPRINTABLE})
    if wrong:
        return f"it holds {', '.join(map(ascii, wrong))}"
    size = len(text.encode())
    return f"it is {size} bytes long, at most {max_bytes} are allowed" if size > max_bytes else ""
