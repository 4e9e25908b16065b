"""Inputs about a pair of listings: strings, words and their weights, the partner's evidence, and the two vectors."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
from rapidfuzz import fuzz

from m5model.partners.data import PartnerData
from m5model.partners.inputs._strings import NAMES, compare_texts, take_apart
from m5model.partners.inputs._tfidf import TfIdf
from m5model.partners.inputs._vectors import Directions, require_space
from m5model.partners.strategy import Given
from m5model.partners.vectors import Vectors
from schemas.tables import TEXT

EVIDENCE_FILE = "evidence.json"
# More of them, and products beside differences, name the pairs that were learned from: on validate 8 were best on Amazon-Google
# (.796; 24 with products .761), and as good as none on Abt-Buy.
COMPONENTS = 8


class PairInputs:
    """Of a pair: lexical evidence, structured evidence, and (with vectors) the cosine and differences."""

    def __init__(
        self, words: TfIdf, pieces: TfIdf, evidence: tuple[tuple[str, bool], ...], directions: Directions | None
    ) -> None:
        self._words = words
        self._pieces = pieces
        self._evidence = evidence  # name without its side, and is it text?
        self._directions = directions
        self._rarity = words.weights()
        self._most = max(self._rarity.values(), default=1.0)

    @property
    def names(self) -> tuple[str, ...]:
        own = [name for column, is_text in self._evidence for name in _evidence_names(column, is_text)]
        return ("tfidf_words", "tfidf_pieces", *NAMES, *own, *(self._directions.pair_names() if self._directions else ()))

    def matrix(self, data: PartnerData, vectors: Vectors | None, rows: np.ndarray) -> np.ndarray:
        """(k, f) float64 of the rows (k,)."""
        chosen = data.select(rows)
        left, right = chosen.texts("left_"), chosen.texts("right_")
        parts = {text: take_apart(text) for text in {*left, *right}}
        strings = [
            compare_texts(parts[one], parts[other], self._rarity, self._most) for one, other in zip(left, right, strict=True)
        ]
        columns = [self._words.cosines(left, right)[:, None], self._pieces.cosines(left, right)[:, None]]
        columns.append(np.asarray(strings, np.float64).reshape(len(rows), len(NAMES)))
        columns += [_compare_evidence(chosen, column, is_text) for column, is_text in self._evidence]
        if self._directions is not None:
            given = require_space(vectors, self._directions)
            columns.append(self._directions.pair_inputs(given.of(left), given.of(right)))
        return np.concatenate(columns, axis=1)

    def save(self, folder: Path) -> None:
        self._words.save(folder)
        self._pieces.save(folder)
        (folder / EVIDENCE_FILE).write_text(json.dumps(self._evidence), encoding="utf-8")
        if self._directions is not None:
            self._directions.save(folder)


def fit(given: Given, rows: np.ndarray) -> PairInputs:
    """Weights of words and directions of vectors are those of the different texts of ``rows``."""
    chosen = given.data.select(rows)
    texts = chosen.all_texts
    directions = None
    if given.vectors is not None:
        directions = Directions.fit(given.vectors.of(texts), given.vectors.space_id, COMPONENTS)
    evidence = tuple(
        (column.name.removeprefix("left_"), column.type == TEXT)
        for column in given.data.partner.evidence
        if column.name.startswith("left_") and not _is_empty(chosen.table, column.name)
    )
    return PairInputs(TfIdf.fit("words", texts), TfIdf.fit("pieces", texts), evidence, directions)


def load(folder: Path) -> PairInputs:
    evidence = tuple((name, is_text) for name, is_text in json.loads((folder / EVIDENCE_FILE).read_text(encoding="utf-8")))
    return PairInputs(TfIdf.load("words", folder), TfIdf.load("pieces", folder), evidence, Directions.load(folder))


def _is_empty(table: pa.Table, name: str) -> bool:
    column = table.column(name)
    return bool(column.null_count == len(column))


def _evidence_names(column: str, is_text: bool) -> tuple[str, ...]:
    return (f"{column}_ratio", f"{column}_equal", f"{column}_mentioned") if is_text else (f"{column}_log_ratio",)


def _compare_evidence(chosen: PartnerData, column: str, is_text: bool) -> np.ndarray:
    """(k, 3) of texts: how alike, equal, and is one named in the other's text; (k, 1) of numbers: distance of logarithms."""
    left, right = chosen.column(f"left_{column}"), chosen.column(f"right_{column}")
    if not is_text:
        with np.errstate(divide="ignore", invalid="ignore"):
            logs = np.abs(np.log(left.astype(np.float64)) - np.log(right.astype(np.float64)))
        return np.where(np.isfinite(logs), logs, np.nan)[:, None]
    sides = zip(left, right, chosen.texts("left_"), chosen.texts("right_"), strict=True)
    return np.asarray([_compare_words(*side) for side in sides], np.float64).reshape(len(left), 3)


def _compare_words(left: str | None, right: str | None, left_text: str, right_text: str) -> tuple[float, float, float]:
    one, other = (left or "").casefold(), (right or "").casefold()
    named = [name in text.casefold() for name, text in ((one, right_text), (other, left_text)) if name]
    mentioned = float(any(named)) if named else np.nan
    if not one or not other:
        return np.nan, np.nan, mentioned
    return fuzz.token_set_ratio(one, other), float(one == other), mentioned
