"""Hashes of listings: of content and of text (schemas.listing says what each is for)."""

from hashlib import sha256

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from schemas.listing import DECLARED, FEED_COLUMNS
from schemas.tables import INSTANT, TEXT_MAP, TEXTS

# Repaired text holds no control characters, so these separate and mark what is absent without doubt.
ABSENT, ITEM_END, COLUMN_END = "\u0000", "\u001e", "\u001f"


def hash_contents(batch: pa.RecordBatch) -> list[bytes]:
    """SHA-256 over all columns of each record as the feed said them. Maps must be in the order of their names."""
    parts: list[pa.Array] = []
    for column in FEED_COLUMNS:
        values = batch.column(column.name)
        if column.name == "language":
            values = pc.if_else(pc.equal(batch.column("language_source"), DECLARED), values, None)
        if column.type == TEXTS:
            parts.append(pc.binary_join(values, ITEM_END))
        elif column.type == TEXT_MAP:
            parts += [pc.binary_join(_listed(values, items), ITEM_END) for items in (values.keys, values.items)]
        elif column.type == INSTANT:
            parts.append(values.cast(pa.int64()).cast(pa.string()))
        else:
            parts.append(values)
    rows = pc.binary_join_element_wise(*parts, COLUMN_END, null_handling="replace", null_replacement=ABSENT)
    return [sha256(row).digest() for row in rows.cast(pa.binary()).to_pylist()]


def hash_texts(batch: pa.RecordBatch) -> list[bytes]:
    """SHA-256 over the case-folded title, bullets and description of each record, a line each. All must have a title."""
    title, bullets, description = (batch.column(name) for name in ("title", "bullets", "description"))
    points = pc.binary_join(bullets, "\n")
    points = pc.if_else(pc.equal(pc.list_value_length(bullets), 0), None, points)
    rows = pc.binary_join_element_wise(title, points, description, "\n", null_handling="skip")
    return [sha256(row).digest() for row in _fold(rows)]


def _fold(texts: pa.StringArray) -> list[bytes]:
    """The texts in lower case as Python has it, for which Arrow's will do where all is ASCII."""
    folded: list[bytes] = pc.ascii_lower(texts).cast(pa.binary()).to_pylist()
    others = np.flatnonzero(pc.invert(pc.string_is_ascii(texts)))
    for i, text in zip(others.tolist(), texts.take(pa.array(others)).to_pylist(), strict=True):
        folded[i] = text.lower().encode()
    return folded


def _listed(maps: pa.MapArray, items: pa.Array) -> pa.ListArray:
    return pa.ListArray.from_arrays(maps.offsets, items, mask=maps.is_null())
