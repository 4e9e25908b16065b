"""Values of a JSON object become the types of the feed's columns, or are named as wrong."""

import re
from typing import Any

from schemas.listing import FEED_FIELDS
from spark.ingest.reading.lines import Number, parse_json

LISTS, MAPS, FLAGS = ("bullets",), ("attributes",), ("deleted",)
# Codes and keys: texts that are compared, not read. No repair touches them.
CODES = ("locale", "item_id", "language", "updated_at")
PROSE = tuple(name for name in FEED_FIELDS if name not in LISTS + MAPS + FLAGS + CODES)

# A key may be a number instead of text: many catalogues number their items.
_INTEGER = re.compile("-?[0-9]+")
_INT64 = range(-(1 << 63), 1 << 63)


def open_cells(cells: dict[str, Any]) -> dict[str, Any]:
    """Drops empty cells and parses those of lists and maps; a cell that is no JSON stays text, which is no list and no map."""
    values: dict[str, Any] = {name: cell for name, cell in cells.items() if cell != ""}
    for name in LISTS + MAPS:
        if isinstance(values.get(name), str):
            try:
                values[name] = parse_json(values[name])
            except ValueError:
                continue
    return values


def coerce_types(values: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Returns the fields that hold a value of the right type, and the names of those that hold another.

    JSON null and an absent field are no value; nor is a blank text where a flag belongs.
    """
    fields: dict[str, Any] = {}
    wrong = []
    for name in FEED_FIELDS:
        value = values.get(name)
        if value is None or (name in FLAGS and isinstance(value, str) and not value.strip()):
            continue
        try:
            fields[name] = _coerce_type(name, value)
        except TypeError:
            wrong.append(name)
    return fields, wrong


def _coerce_type(name: str, value: Any) -> Any:
    if name in LISTS and isinstance(value, list):
        return [None if item is None else _text(item) for item in value]
    if name in MAPS and isinstance(value, dict):
        return {_text(key): None if item is None else _scalar(item) for key, item in value.items()}
    if name in FLAGS:
        return value if isinstance(value, bool) else _flag(value)
    if name == "item_id" and type(value) is Number and _INTEGER.fullmatch(value) and len(value) <= 20 and int(value) in _INT64:
        return str(value)
    if name in LISTS + MAPS:
        raise TypeError(name)
    return _text(value)


def _text(value: Any) -> str:
    if type(value) is not str:
        raise TypeError(value)
    return value


def _scalar(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if type(value) is Number else _text(value)


def _flag(value: Any) -> bool:
    words = {"true": True, "false": False}
    flag = words.get(_text(value).strip().lower())
    if flag is None:
        raise TypeError(value)
    return flag
