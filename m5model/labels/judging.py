"""Judges the rows of a label feed by their kind's table: each gets its types, or the names of all its faults."""

import math
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from m5model.labels.reading import Row
from schemas.labels import ATTRIBUTES, CLICKS, EVENTS, PAIRS, RELEVANCE, SESSIONS, SPLIT, SPLITS, LabelKind
from schemas.locales import LOCALES
from schemas.tables import INSTANT, TEXT, Column

UNREADABLE = "unreadable"  # no JSON object, or more cells than the header has
NO_LISTING = "no_listing"  # neither a whole key nor a text
KEY_AND_TEXT = "key_and_text"  # only one of the two may name a listing
ONE_LISTING = "same_listing_twice"  # a pair of a listing with itself
UNKNOWN_LISTING = "unknown_listing"  # the key is not in listings, at the version that the set is pinned to
CONTRADICTORY = "contradictory"  # rows about the same thing say different things
SPLIT_NAMES: Mapping[str, str] = {
    **{name: name for name in SPLITS},
    **dict.fromkeys(("train", "training"), "learn"),
    **dict.fromkeys(("valid", "validation", "dev", "val"), "validate"),
}

_TRUTH = {True: True, False: False, "true": True, "false": False, "1": True, "0": False}  # 1 and 0 equal True and False


class WrongTypeError(ValueError):
    """A value that is not of its column's type."""


def judge(row: Row | None, kind: LabelKind, *, keep_splits: bool) -> tuple[Row, list[str]]:
    """The row with its columns' types, and the names of its faults; a row with faults is to be rejected.

    Entities may be absent, and so may splits where they are not kept: both are filled in later.
    """
    if row is None:
        return {}, [UNREADABLE]
    values, faults = {}, []
    for column in kind.table.columns:
        try:
            values[column.name] = coerce(row.get(column.name), column)
        except WrongTypeError:
            faults.append(f"{column.name}_wrong_type")
            values[column.name] = None
        if _is_missing(values[column.name], column, kind) and f"{column.name}_wrong_type" not in faults:
            faults.append(f"{column.name}_missing")
    faults += [fault for side in kind.sides for fault in _judge_listing(values, side)]
    return values, faults + _judge_values(values, kind) + (_judge_split(values) if keep_splits else [])


def _is_missing(value: Any, column: Column, kind: LabelKind) -> bool:
    is_filled_later = column.name in kind.entities or column.name == SPLIT.name
    return value is None and not column.nullable and not is_filled_later


def coerce(value: Any, column: Column) -> Any:
    """The value in its column's type; None where there is none. Raises WrongTypeError."""
    if value is None or value == "" or (isinstance(value, float) and math.isnan(value)):
        return None
    return _COERCIONS[column.type](value)


def _text(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise WrongTypeError
    text = str(value)
    try:
        text.encode()
    except UnicodeEncodeError as error:  # half of a surrogate pair
        raise WrongTypeError from error
    return text


def _truth(value: Any) -> bool:
    key = value.lower() if isinstance(value, str) else value
    if not isinstance(key, str | int | float) or key not in _TRUTH:
        raise WrongTypeError
    return _TRUTH[key]


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise WrongTypeError
    number = float(value)
    if not math.isfinite(number):
        raise WrongTypeError
    return number


def _whole(value: Any) -> int:
    number = _number(value)
    if number != int(number) or abs(number) >= 2**31:
        raise WrongTypeError
    return int(number)


def _instant(value: Any) -> datetime:
    """A moment without a zone is taken as UTC."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError as error:
            raise WrongTypeError from error
    if not isinstance(value, datetime):
        raise WrongTypeError
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def _refuse_text(parse: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """``parse``, for which a text that is no number is of the wrong type."""

    def parsed(value: Any) -> Any:
        try:
            return parse(value)
        except ValueError as error:
            raise WrongTypeError from error

    return parsed


_COERCIONS: Mapping[pa.DataType, Callable[[Any], Any]] = {
    TEXT: _text,
    INSTANT: _instant,
    pa.bool_(): _truth,
    pa.float32(): _refuse_text(_number),
    pa.float64(): _refuse_text(_number),
    pa.int32(): _refuse_text(_whole),
    pa.int64(): _refuse_text(_whole),
}


def _judge_listing(row: Row, side: str) -> list[str]:
    locale, item_id, text = (row[f"{side}{name}"] for name in ("locale", "item_id", "text"))
    if text is not None:
        return [f"{side}{KEY_AND_TEXT}"] if (locale, item_id) != (None, None) else []
    if locale is None or item_id is None:
        return [f"{side}{NO_LISTING}"]
    return [] if locale in LOCALES else [f"{side}unknown_locale"]


def _judge_values(row: Row, kind: LabelKind) -> list[str]:
    """Values that their types allow and their meaning does not."""
    rules = {
        PAIRS.name: lambda: {ONE_LISTING: kind is PAIRS and _side(row, "left_") == _side(row, "right_")},
        RELEVANCE.name: lambda: {"gain_out_of_range": _is_outside(row["gain"], 0, 1)},
        ATTRIBUTES.name: lambda: {"name_blank": not (row["name"] or "x").strip()},
        CLICKS.name: lambda: {
            "impressions_below_one": _is_outside(row["impressions"], 1),
            "clicks_above_impressions": _is_outside(row["clicks"], 0, row["impressions"]),
            "position_below_one": _is_outside(row["position"], 1),
        },
        SESSIONS.name: lambda: {
            "unknown_event": row["event"] is not None and row["event"] not in EVENTS,
            "step_below_one": _is_outside(row["step"], 1),
        },
    }
    broken = rules[kind.name]() if kind.name in rules else {}
    return [name for name, is_broken in broken.items() if is_broken]


def _side(row: Row, side: str) -> tuple[Any, ...]:
    return tuple(row[f"{side}{name}"] for name in ("locale", "item_id", "text"))


def _is_outside(value: float | None, low: float, high: float | None = None) -> bool:
    return value is not None and (value < low or (high is not None and value > high))


def _judge_split(row: Row) -> list[str]:
    """Replaces the split by its name here."""
    if row[SPLIT.name] is None:
        return [f"{SPLIT.name}_missing"]
    row[SPLIT.name] = SPLIT_NAMES.get(row[SPLIT.name].lower())
    return [] if row[SPLIT.name] else [f"unknown_{SPLIT.name}"]
