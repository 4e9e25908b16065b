"""Small judged queries: products with vectors of their own, which queries name in words that listings do not have."""

from typing import Any

import numpy as np

from m5model.data.randomness import generator_for
from m5model.partners.vectors import Vectors, given_vectors
from tests.m5model.partners.conftest import DIMENSIONS, SPACE, Row

LANGUAGES = ("en", "de")


def query_rows(queries: int = 90, candidates: int = 6, seed: int = 0) -> list[Row]:
    """Each query is answered by one listing of its judged ones, which has no word of it. Half of the queries are German."""
    rows: list[Row] = []
    for number in range(queries):
        for step in range(candidates):
            product = (number + step * 7) % queries
            rows.append(
                {
                    "query": spell(number, "a"),
                    "query_language": LANGUAGES[number % 2],
                    "text": spell(product, "k"),
                    "gain": 1.0 if step == 0 else 0.0,
                }
            )
    return rows


def spell(number: int, first: str) -> str:
    """Three letters a digit, of the ten that begin with ``first``: numbers that are spelt by others share no letter."""
    return "".join(chr(ord(first) + int(digit)) * 3 for digit in f"{number:03d}")


def read_number(name: str) -> int:
    letters = name.split(" ")[0][::3]
    first = "a" if letters[0] < "k" else "k"
    return int("".join(str(ord(letter) - ord(first)) for letter in letters))


def shuffled(rows: list[Row], seed: int = 0) -> list[Row]:
    """The same rows with the gains of others."""
    gains = np.random.default_rng(seed).permutation([row["gain"] for row in rows]).tolist()
    return [row | {"gain": gain} for row, gain in zip(rows, gains, strict=True)]


def meaning_vectors(rows: list[Row], noise: float = 0.05) -> Vectors:
    """A query lies where the listing of its number lies, turned: a trained map finds it, a cosine does not."""
    turn_DD, _ = np.linalg.qr(generator_for("turn").normal(size=(DIMENSIONS, DIMENSIONS)))
    vectors: dict[str, Any] = {}
    for row in rows:
        for name, turned in ((row["query"], True), (row["text"], False)):
            centre = generator_for("product", read_number(name)).normal(size=DIMENSIONS)
            around = (centre @ turn_DD if turned else centre) + noise * generator_for("offer", name).normal(size=DIMENSIONS)
            vectors[name] = (around / np.linalg.norm(around)).astype(np.float32)
    return given_vectors(vectors, SPACE)
