"""Gives every row the entities that splits are drawn by, where the feed does not name them.

An entity of pairs is a connected component of matches: what matches the same thing is the same product. Elsewhere it is the
listing, the query or the session.
"""

from m5model.data.components import Components
from m5model.labels.reading import Row
from schemas.labels import PAIRS, RELEVANCE, SESSIONS, LabelKind
from schemas.space import sha256_hex

ENTITY_MISSING = "entity_missing"  # others have one, so it cannot be derived


def listing_of(row: Row, side: str) -> str:
    """Names the listing of a row: its key, or the hash of its text."""
    text = row[f"{side}text"]
    return f"{row[f'{side}locale']}/{row[f'{side}item_id']}" if text is None else f"text:{sha256_hex(text.encode())[:24]}"


def fill_entities(rows: list[Row], kind: LabelKind) -> list[int]:
    """Fill in the entities, in place, where no row has any.

    Returns the places of rows that lack theirs though others have one.
    """
    given = [all(row[name] is not None for name in kind.entities) for row in rows]
    if any(given):
        return [place for place, is_given in enumerate(given) if not is_given]
    if kind is PAIRS:
        _derive_products(rows)
    for row in rows:
        if kind is not PAIRS:
            row[kind.entities[0]] = _derive(row, kind)
    return []


def _derive(row: Row, kind: LabelKind) -> str:
    if kind is SESSIONS:
        return str(row["session"])
    if kind is RELEVANCE:
        return " ".join(str(row["query"]).casefold().split())
    return listing_of(row, "")


def _derive_products(rows: list[Row]) -> None:
    products = Components[str]()
    for row in rows:
        left, right = listing_of(row, "left_"), listing_of(row, "right_")
        if row["is_match"]:
            products.join(left, right)
    for row in rows:
        for side in PAIRS.sides:
            row[f"{side}entity"] = products.find(listing_of(row, side))
