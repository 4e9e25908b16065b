"""Content hash and text hash of listings. What they are for: design of the three hashes, schemas.listing."""

from collections.abc import Sequence
from hashlib import sha256

from schemas.listing import FEED_COLUMNS
from schemas.tables import TEXT_MAP, TEXTS
from spark.ingest.records import Records

# Control characters cannot stand in repaired text, so they separate and mark what is absent without doubt.
ABSENT, ITEM_END, COLUMN_END = "\u0000", "\u001e", "\u001f"


def hash_contents(records: Records, updated_at: Sequence[int | None]) -> list[bytes]:
    """SHA-256 over all columns of each record. Maps must be in the order of their names; times are microseconds."""
    parts: list[list[str]] = []
    for column in FEED_COLUMNS:
        values = records.columns[column.name]
        if column.type == TEXTS:
            parts.append([ABSENT if items is None else ITEM_END.join(items) for items in values])
        elif column.type == TEXT_MAP:
            parts.append([ABSENT if pairs is None else ITEM_END.join(pairs) for pairs in values])
            parts.append([ABSENT if pairs is None else ITEM_END.join(pairs.values()) for pairs in values])
        elif column.name == "updated_at":
            parts.append([ABSENT if micros is None else str(micros) for micros in updated_at])
        else:
            parts.append([ABSENT if text is None else text for text in values])
    return [sha256(COLUMN_END.join(row).encode()).digest() for row in zip(*parts, strict=True)]


def hash_texts(records: Records) -> list[bytes]:
    """SHA-256 over the case-folded title, bullets and description of each record."""
    columns = records.columns
    hashes = []
    for title, bullets, description in zip(columns["title"], columns["bullets"], columns["description"], strict=True):
        texts = [text for text in (title, *(bullets or ()), description) if text is not None]
        hashes.append(sha256("\n".join(texts).lower().encode()).digest())
    return hashes
