"""Texts of products in ten languages to distil on: none of them is of the pair sets that students are judged on."""

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from schemas.space import sha256_hex

Row = dict[str, Any]

DESCRIPTION_CHARACTERS = 200  # of every other listing; the others have none: titles alone must do, too
OF_A_FILE = 12_000
PLACES = ("en-US", "de-DE", "fr-FR", "es-ES", "it-IT", "nl-NL", "pt-BR", "tr-TR", "ja-JP", "ar-SA")
LOCALES = dict(place.split("-") for place in PLACES)


def product_listings(data: Path, rows: int) -> list[Row]:
    """At most so many listings, drawn by hash: catalogues, titles of a shop's search results, items of shopping sessions."""
    found = [listing for file in sorted((data / "catalogue").glob("*.parquet")) for listing in _catalogue(file)]
    found += [_titled(title) for title in _titles(data / "search" / "home_depot_judgements.parquet", "product_title")]
    found += [_titled(title) for title in _titles(data / "sessions" / "bundlerec" / "items.parquet", "title")]
    drawn = sorted(found, key=lambda listing: sha256_hex(listing["title"].encode()))[:rows]
    return [{**listing, "item_id": str(number)} for number, listing in enumerate(drawn)]


def _catalogue(file: Path) -> list[Row]:
    columns = ["title", "brand", "description", "language"]
    rows = pq.read_table(file, columns=columns).to_pylist()
    chosen = sorted((row for row in rows if row["title"]), key=lambda row: sha256_hex(row["title"].encode()))[:OF_A_FILE]
    return [_listing(place, row) for place, row in enumerate(chosen)]


def _listing(place: int, row: Row) -> Row:
    language = row["language"] if row["language"] in LOCALES else "en"
    description = (row["description"] or "")[:DESCRIPTION_CHARACTERS] if place % 2 else ""
    said = {"title": row["title"], "brand": row["brand"] or "", "description": description}
    return {"locale": LOCALES[language], "language": language, **said}


def _titles(file: Path, column: str) -> list[str]:
    return sorted({title for title in pq.read_table(file, columns=[column])[column].to_pylist() if title})


def _titled(title: str) -> Row:
    return {"locale": "US", "language": "en", "title": title}
