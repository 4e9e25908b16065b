"""Hashes of listings: of content and text, which the table keeps (schemas.listing says what for), and of keys, for joins."""

from collections.abc import Sequence
from hashlib import sha256

import pyarrow as pa
import pyarrow.compute as pc
from xxhash import xxh64_intdigest

from schemas.listing import DECLARED, FEED_COLUMNS
from schemas.tables import INSTANT, TEXT_MAP, TEXTS

# Control characters cannot stand in repaired text, so they separate and mark what is absent without doubt.
ABSENT, ITEM_END, COLUMN_END = "\u0000", "\u001e", "\u001f"
SPARK_SEED = 42  # of Spark's xxhash64


def hash_keys(locales: Sequence[str], item_ids: Sequence[str]) -> pa.Int64Array:
    """Of keys, as Spark's ``xxhash64(locale, item_id)`` has them: a column's hash is the seed of the next."""
    seeds = {locale: xxh64_intdigest(locale.encode(), SPARK_SEED) for locale in set(locales)}
    hashes = [xxh64_intdigest(item_id.encode(), seeds[locale]) for locale, item_id in zip(locales, item_ids, strict=True)]
    return pa.array(hashes, pa.uint64()).view(pa.int64())


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
    return [sha256(row.lower().encode()).digest() for row in rows.to_pylist()]


def _listed(maps: pa.MapArray, items: pa.Array) -> pa.ListArray:
    return pa.ListArray.from_arrays(maps.offsets, items, mask=maps.is_null())
