"""Renders a listing as one text, the encoder's input. Spark does the same in spark/rendering.py.

    [prefix] title | brand | category | name: value | ... | bullet | ... | description

Most telling fields first, because what does not fit the model's length is cut from the end. A marked rendering puts a mark (a
character that no listing has) before every field instead of a separator between them: encoders of two streams read what the
field is, and which stream it belongs to.
"""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from schemas.canonical import identify
from schemas.errors import ModelInputError
from schemas.report import JsonValue
from schemas.space import sha256_hex

# Of a value in an error.
SHOWN_CHARACTERS = 60

FIELDS = ("title", "brand", "category", "attributes", "bullets", "description")
# Marks of a marked rendering, by what follows them: characters of Unicode's private use area, which are taken out of values.
MARKS = {
    "title": "\ue000",
    "bullets": "\ue001",
    "description": "\ue002",
    "brand": "\ue003",
    "category": "\ue004",
    "attribute_name": "\ue005",
    "attribute_value": "\ue006",
}
TEXT_MARKS = ("title", "bullets", "description")  # the others begin structured data
_ANY_MARK = re.compile(f"[{''.join(MARKS.values())}]")


@dataclass(frozen=True, kw_only=True)
class Rendering:
    """Says how fields are joined. Part of the vector space: another rendering is another space."""

    fields: tuple[str, ...] = FIELDS
    separator: str = " | "
    attribute_separator: str = ": "
    # 512 tokens of Latin text are about 2,000 characters, of Japanese fewer; what lies behind 4,096 can never be read.
    max_characters: int = 4_096
    # Stands before every text, plain strings too. Encoders that were trained with a prefix expect it ("query: " of E5).
    prefix: str = ""
    # Every field begins with its mark, for encoders that read text and structured data apart.
    marked: bool = False

    @property
    def rendering_id(self) -> str:
        """12 hexadecimal digits of the canonical JSON of the fields."""
        return identify(self.as_json())

    def as_json(self) -> dict[str, JsonValue]:
        """The fields as plain values; no prefix and no marks are left out: such renderings keep the ids that they had."""
        values = asdict(self)
        for name in ("prefix", "marked"):
            if not values[name]:
                del values[name]
        return {**values, "fields": list(self.fields)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Rendering":
        return cls(**{**values, "fields": tuple(values["fields"])})


DEFAULT_RENDERING = Rendering()


def render(listing: Mapping[str, Any] | str, rendering: Rendering = DEFAULT_RENDERING) -> str:
    """The text of ``listing``: a mapping with at least a title, or a plain string, which is taken as it is.

    Fields that are absent, None, NaN or empty are left out. ``bullets`` is a list of texts; ``attributes`` is a mapping, or a
    list of ``{"name", "value"}``, of ``{"key", "value"}`` or of pairs. Raises ``ModelInputError`` for values of other types,
    for lone surrogates, and where nothing is left to encode.
    """
    if isinstance(listing, str):
        text = without_marks(str(listing)) if rendering.marked else str(listing)
    else:
        parts = [part for field in rendering.fields for part in _parts(field, listing.get(field), rendering)]
        text = ("" if rendering.marked else rendering.separator).join(parts)
    if not text:
        raise ModelInputError("nothing to encode: the text is empty", next_step="give a title or a non-empty string")
    return rendering.prefix + _encodable(text[: rendering.max_characters])


def fingerprint(text: str, rendering: Rendering = DEFAULT_RENDERING) -> str:
    """32 hexadecimal digits: must this text be embedded again?"""
    return sha256_hex(f"{rendering.rendering_id}\n{text}".encode())[:32]


def _encodable(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ModelInputError(
            f"character {error.start} is {text[error.start]!a}, half of a surrogate pair: no UTF-8 has it",
            next_step="repair the text where it is read: something cut it in the middle of a character",
        ) from error
    return text


def without_marks(text: str, instead: str = "") -> str:
    """``text`` with ``instead`` in the place of every mark."""
    return _ANY_MARK.sub(instead, text)


def _parts(field: str, value: Any, rendering: Rendering) -> list[str]:
    if _is_absent(value) or (isinstance(value, str) and not value):
        return []
    if field == "attributes":
        pairs = sorted(pair for pair in _attribute_pairs(value) if pair[1])
        return [_attribute(name, item, rendering) for name, item in pairs]
    if field == "bullets":
        return [_mark(field, text, rendering) for bullet in _entries(field, value) if (text := _text("a bullet", bullet))]
    text = _text(field, value)
    return [_mark(field, text, rendering)] if text else []


def _mark(field: str, text: str, rendering: Rendering) -> str:
    if not rendering.marked:
        return text
    shown = without_marks(text)
    return f"{MARKS[field]}{shown}" if shown else ""


def _attribute(name: str, value: str, rendering: Rendering) -> str:
    if not rendering.marked:
        return f"{name}{rendering.attribute_separator}{value}"
    return _mark("attribute_name", name, rendering) + _mark("attribute_value", value, rendering)


def _is_absent(value: Any) -> bool:
    """None, and what tables have in its place: NaN, pandas' NaT and NA. Only NaN and NaT differ from themselves."""
    if value is None or type(value).__name__ == "NAType":
        return True
    return not isinstance(value, str) and getattr(value, "ndim", 0) == 0 and bool(value != value)


def _text(what: str, value: Any) -> str:
    if type(value) is str:  # nearly always
        return value
    if _is_absent(value):
        return ""
    if not isinstance(value, str):
        raise _wrong_type(what, value, "text")
    return str(value)


def _entries(field: str, value: Any) -> list[Any]:
    """A list, a tuple or a numpy array of one dimension as a list."""
    if getattr(value, "ndim", 0) == 1 and hasattr(value, "tolist"):
        value = value.tolist()
    if not isinstance(value, list | tuple):
        raise _wrong_type(field, value, "a list")
    return list(value)


def _attribute_pairs(attributes: Any) -> list[tuple[str, str]]:
    if isinstance(attributes, Mapping):
        pairs: list[Any] = list(attributes.items())
    else:
        pairs = [_attribute_pair(entry) for entry in _entries("attributes", attributes)]
    return [(_text("an attribute's name", name), _text("an attribute's value", value)) for name, value in pairs]


def _attribute_pair(entry: Any) -> tuple[Any, Any]:
    if isinstance(entry, Mapping) and "value" in entry and ("name" in entry or "key" in entry):
        return entry["name"] if "name" in entry else entry["key"], entry["value"]
    if isinstance(entry, tuple | list) and len(entry) == 2:
        return entry[0], entry[1]
    raise _wrong_type("an attribute", entry, "a pair, or a mapping with name and value")


def _wrong_type(what: str, value: Any, expected: str) -> ModelInputError:
    shown = repr(value)
    shown = shown if len(shown) <= SHOWN_CHARACTERS else shown[:SHOWN_CHARACTERS] + "…"
    return ModelInputError(
        f"{what} is a {type(value).__name__} ({shown}), expected {expected}",
        next_step="give fields as the listings table has them: title, brand, category and description as text, bullets as a "
        "list of texts, attributes as a mapping of texts",
    )
