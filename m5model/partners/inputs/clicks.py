"""Inputs about an ad on a page: numbers, historical rates by value, how alike both texts are, and the two vectors.

``learning_matrix`` is for the rows that are learned from: their rates leave out themselves, see m5model.partners.click_rates.
"""

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from m5model.partners.click_columns import ClickColumns, ad_texts
from m5model.partners.click_rates import ClickRates, learning_rates
from m5model.partners.data import PartnerData
from m5model.partners.inputs._strings import NAMES, compare_texts, take_apart
from m5model.partners.inputs._tfidf import TfIdf
from m5model.partners.inputs._vectors import Directions, require_space
from m5model.partners.strategy import Given
from m5model.partners.vectors import Vectors

COLUMNS_FILE, RATES_FILE = "columns.json", "rates.npz"

RatesOf = Callable[[str, PartnerData], np.ndarray]


class ClickInputs:
    """Of an impression (or many of one kind)."""

    def __init__(
        self,
        columns: ClickColumns,
        rates: dict[str, ClickRates],
        texts: tuple[TfIdf, TfIdf] | None,
        directions: Directions | None,
    ) -> None:
        self.columns = columns
        self.rates = rates
        self._texts = texts
        self._directions = directions

    @property
    def names(self) -> tuple[str, ...]:
        own = [*self.columns.numbers, *(f"rate_{name}" for name in self.columns.values)]
        lexical = ["tfidf_words", "tfidf_pieces", *NAMES] if self._texts else []
        return (*own, *lexical, *self._vector_names())

    def _vector_names(self) -> tuple[str, ...]:
        if self._directions is None:
            return ()
        ad = tuple(f"ad_{number}" for number in range(len(self._directions.components_KD)))
        return ad if self.columns.page is None else (*ad, *self._directions.pair_names())

    def matrix(self, data: PartnerData, vectors: Vectors | None, rows: np.ndarray) -> np.ndarray:
        """(k, f) float64 of the rows (k,); rates are of learned rows, those before each row where times are known."""
        return self._matrix(data.select(rows), vectors, self.rates_of)

    def learning_matrix(self, data: PartnerData, vectors: Vectors | None, rows: np.ndarray) -> np.ndarray:
        """The same of the rows that are learned from."""
        return self._matrix(data.select(rows), vectors, self.learning_rates_of)

    def rates_of(self, name: str, chosen: PartnerData) -> np.ndarray:
        return self.rates[name].rates(self.columns.values_of(chosen, name), self.columns.times(chosen))

    def learning_rates_of(self, name: str, chosen: PartnerData) -> np.ndarray:
        return learning_rates(self.columns.values_of(chosen, name), self.columns.shown(chosen))

    def _matrix(self, chosen: PartnerData, vectors: Vectors | None, rates_of: RatesOf) -> np.ndarray:
        parts = [self.columns.number_matrix(chosen), *(rates_of(name, chosen)[:, None] for name in self.columns.values)]
        parts += [self._lexical(chosen, *self._texts)] if self._texts else []
        if self._directions is not None:
            parts.append(self._of_vectors(chosen, require_space(vectors, self._directions), self._directions))
        return np.concatenate(parts, axis=1)

    def _lexical(self, chosen: PartnerData, words: TfIdf, pieces: TfIdf) -> np.ndarray:
        """Says how alike ad and page are, (k, f)."""
        ads, pages = ad_texts(chosen), self.columns.page_texts(chosen) or []
        parts = {text: take_apart(text) for text in {*ads, *pages}}
        rarity = words.weights()
        most = max(rarity.values(), default=1.0)
        strings = [compare_texts(parts[ad], parts[page], rarity, most) for ad, page in zip(ads, pages, strict=True)]
        cosines = [one.cosines(ads, pages)[:, None] for one in (words, pieces)]
        return np.concatenate([*cosines, np.asarray(strings, np.float64).reshape(len(ads), len(NAMES))], axis=1)

    def _of_vectors(self, chosen: PartnerData, vectors: Vectors, directions: Directions) -> np.ndarray:
        ads_BD = vectors.of(ad_texts(chosen))
        pages = self.columns.page_texts(chosen)
        alone = directions.project(ads_BD).astype(np.float64)
        return alone if pages is None else np.concatenate([alone, directions.pair_inputs(ads_BD, vectors.of(pages))], axis=1)

    def save(self, folder: Path) -> None:
        said = asdict(self.columns) | {"known": {name: rates.values for name, rates in self.rates.items()}}
        (folder / COLUMNS_FILE).write_text(json.dumps(said, ensure_ascii=False), encoding="utf-8")
        arrays: dict[str, Any] = {}
        for number, name in enumerate(self.columns.values):
            rates = self.rates[name]
            arrays |= {f"{number}.starts": rates.starts, f"{number}.sums": rates.sums}
            arrays |= {f"{number}.at": rates.at} if rates.at is not None else {}
        np.savez(folder / RATES_FILE, **arrays)
        for one in self._texts or ():
            one.save(folder)
        if self._directions is not None:
            self._directions.save(folder)


def fit_without_texts(given: Given, rows: np.ndarray) -> ClickInputs:
    """Numbers and the rates of ``rows`` alone."""
    chosen, columns = given.data.select(rows), ClickColumns.of(given.data, rows)
    shown = columns.shown(chosen)
    rates = {name: ClickRates.fit(columns.values_of(chosen, name), shown) for name in columns.values}
    return ClickInputs(columns, rates, None, None)


def fit(given: Given, rows: np.ndarray) -> ClickInputs:
    """Rates, weights of words and directions of vectors are those of ``rows``."""
    chosen, bare = given.data.select(rows), fit_without_texts(given, rows)
    columns = bare.columns
    texts = sorted({*ad_texts(chosen), *(columns.page_texts(chosen) or ())})
    tfidf = None if columns.page is None else (TfIdf.fit("words", texts), TfIdf.fit("pieces", texts))
    vectors = given.vectors
    directions = None if vectors is None else Directions.fit(vectors.of(texts), vectors.space_id)
    return ClickInputs(columns, bare.rates, tfidf, directions)


def load(folder: Path) -> ClickInputs:
    said = json.loads((folder / COLUMNS_FILE).read_text(encoding="utf-8"))
    known = said.pop("known")
    columns = ClickColumns(numbers=tuple(said["numbers"]), values=tuple(said["values"]), page=said["page"], time=said["time"])
    rates = {}
    with np.load(folder / RATES_FILE) as kept:
        for number, name in enumerate(columns.values):
            at = kept.get(f"{number}.at")
            rates[name] = ClickRates(known[name], kept[f"{number}.starts"], at, kept[f"{number}.sums"])
    has_texts = (folder / "words.json").is_file()
    texts = (TfIdf.load("words", folder), TfIdf.load("pieces", folder)) if has_texts else None
    return ClickInputs(columns, rates, texts, Directions.load(folder))
