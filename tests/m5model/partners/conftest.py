"""Small partners' files: products with vectors of their own, offers that are worded differently, pairs of them."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from m5model.data.randomness import generator_for
from m5model.partners.data import PartnerData
from m5model.partners.reading import DataRequest, open_data
from m5model.partners.registry import find_partner
from m5model.partners.vectors import Vectors, given_vectors
from schemas.workspace import Workspace

DIMENSIONS = 16
SPACE = "0123456789abcdef"

Row = dict[str, Any]


def pair_rows(products: int = 120, seed: int = 0) -> list[Row]:
    """Two offers of every product that share no word, and each offer beside one of another product: half of the pairs match.

    Words say nothing about matches, so that only vectors can.
    """
    rows: list[Row] = []
    for number in range(products):
        other = (number + 1) % products
        left = f"left{number:03d} {_words(seed, number, 'l')}"
        rows += [_pair(left, _right(seed, one), number == one, number, one) for one in (number, other)]
    return rows


def _right(seed: int, product: int) -> str:
    return f"right{product:03d} {_words(seed, product, 'r')}"


def _pair(left: str, right: str, is_match: bool, *products: int) -> Row:
    names = [f"product {product}" for product in products]
    return {
        "left_text": left,
        "right_text": right,
        "is_match": is_match,
        "left_entity": names[0],
        "right_entity": names[1],
        "product_line": "hardlines" if products[0] % 2 else "softlines",
    }


def _words(seed: int, product: int, side: str) -> str:
    draw = generator_for("words", seed, product, side)
    return " ".join("".join(draw.choice(list("aeiounrst"), 6)) for _ in range(4))


def product_vectors(rows: Iterable[Row], noise: float = 0.1, seed: int = 0) -> Vectors:
    """Offers of a product lie near each other."""
    vectors = {}
    for row in rows:
        for side in ("left", "right"):
            centre = generator_for("product", row[f"{side}_entity"]).normal(size=DIMENSIONS)
            around = centre + noise * generator_for("offer", seed, row[f"{side}_text"]).normal(size=DIMENSIONS)
            vectors[row[f"{side}_text"]] = (around / np.linalg.norm(around)).astype(np.float32)
    return given_vectors(vectors, SPACE)


def write_rows(file: Path, rows: list[Row]) -> str:
    file.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return str(file)


def open_rows(folder: Path, rows: list[Row], partner: str = "duplicates", *, allow_seen: bool = False) -> PartnerData:
    """The rows as an experiment sees them."""
    request = DataRequest(partner=find_partner(partner), labels=write_rows(folder / "rows.jsonl", rows), allow_seen=allow_seen)
    return open_data(Workspace(str(folder)), request)
