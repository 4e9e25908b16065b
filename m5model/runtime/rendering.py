"""A listing becomes one text: the encoder's input. One definition, for Python here and for Spark in spark/rendering.py.

    title | brand | category | name: value | ... | bullet | ... | description

Most telling fields first, because what does not fit the model's length is cut from the end.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from schemas.canonical import identify
from schemas.errors import ModelInputError
from schemas.report import JsonValue
from schemas.space import sha256_hex

FIELDS = ("title", "brand", "category", "attributes", "bullets", "description")


@dataclass(frozen=True, kw_only=True)
class Rendering:
    """How fields are joined. Part of the vector space: another rendering is another space."""

    fields: tuple[str, ...] = FIELDS
    separator: str = " | "
    attribute_separator: str = ": "
    # 512 tokens of Latin text are about 2,000 characters, of Japanese fewer; what lies behind 4,096 can never be read.
    max_characters: int = 4_096

    @property
    def rendering_id(self) -> str:
        """12 hexadecimal digits of the canonical JSON of the fields."""
        return identify(self)

    def as_json(self) -> dict[str, JsonValue]:
        values = asdict(self)
        return {**values, "fields": list(self.fields)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Rendering":
        return cls(**{**values, "fields": tuple(values["fields"])})


DEFAULT_RENDERING = Rendering()


def render(listing: Mapping[str, Any] | str, rendering: Rendering = DEFAULT_RENDERING) -> str:
    """The text of ``listing``: a mapping with at least a title, or a plain string, which is taken as it is.

    Absent, None and empty fields are left out. ``attributes`` may be a mapping, or a list of ``{"name", "value"}`` or of
    pairs. Raises ``ModelInputError`` where nothing is left to encode.
    """
    if isinstance(listing, str):
        text = listing
    else:
        parts = [part for field in rendering.fields for part in _parts(field, listing.get(field), rendering)]
        text = rendering.separator.join(parts)
    if not text:
        raise ModelInputError("nothing to encode: the text is empty", next_step="give a title or a non-empty string")
    return text[: rendering.max_characters]


def fingerprint(text: str, rendering: Rendering = DEFAULT_RENDERING) -> str:
    """32 hexadecimal digits: must this text be embedded again?"""
    return sha256_hex(f"{rendering.rendering_id}\n{text}".encode())[:32]


def _parts(field: str, value: Any, rendering: Rendering) -> list[str]:
    if not value:
        return []
    if field == "attributes":
        return [f"{name}{rendering.attribute_separator}{item}" for name, item in sorted(_attribute_pairs(value)) if item]
    if field == "bullets":
        return [bullet for bullet in value if bullet]
    return [value]


def _attribute_pairs(attributes: Mapping[str, str] | Sequence[Any]) -> list[tuple[str, str]]:
    if isinstance(attributes, Mapping):
        return list(attributes.items())
    return [(item["name"], item["value"]) if isinstance(item, Mapping) else tuple(item) for item in attributes]
