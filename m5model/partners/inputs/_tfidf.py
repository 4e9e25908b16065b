"""TF-IDF that is kept as JSON and numpy: weights of words, and of runs of three and four characters."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import scipy.sparse as sp
from sklearn.feature_extraction.text import TfidfVectorizer

# A word is any run of letters and digits: single characters count, since many sizes and Japanese words are such.
WORD = r"(?u)\b\w+\b"
Unit = Literal["words", "pieces"]


class TfIdf:
    """Texts as unit vectors (n, terms), sparse."""

    def __init__(self, unit: Unit, vectorizer: TfidfVectorizer) -> None:
        self.unit = unit
        self._vectorizer = vectorizer

    @classmethod
    def fit(cls, unit: Unit, texts: Sequence[str]) -> "TfIdf":
        vectorizer = _new(unit)
        vectorizer.fit(texts)
        return cls(unit, vectorizer)

    def vectors(self, texts: Sequence[str]) -> sp.csr_matrix:
        return self._vectorizer.transform(texts).tocsr()

    def cosines(self, left: Sequence[str], right: Sequence[str]) -> np.ndarray:
        """Cosine (n,) of each pair of texts."""
        return np.asarray(self.vectors(left).multiply(self.vectors(right)).sum(axis=1)).ravel()

    def weights(self) -> dict[str, float]:
        """Inverse document frequency of every term."""
        return {term: float(self._vectorizer.idf_[place]) for term, place in self._vectorizer.vocabulary_.items()}

    def save(self, folder: Path) -> None:
        terms = sorted(self._vectorizer.vocabulary_, key=self._vectorizer.vocabulary_.__getitem__)
        (folder / f"{self.unit}.json").write_text(json.dumps(terms, ensure_ascii=False), encoding="utf-8")
        np.save(folder / f"{self.unit}.npy", self._vectorizer.idf_)

    @classmethod
    def load(cls, unit: Unit, folder: Path) -> "TfIdf":
        terms = json.loads((folder / f"{unit}.json").read_text(encoding="utf-8"))
        vectorizer = _new(unit, {term: place for place, term in enumerate(terms)})
        vectorizer.idf_ = np.load(folder / f"{unit}.npy")
        return cls(unit, vectorizer)


def _new(unit: Unit, vocabulary: dict[str, int] | None = None) -> TfidfVectorizer:
    if unit == "words":
        return TfidfVectorizer(sublinear_tf=True, token_pattern=WORD, vocabulary=vocabulary)
    return TfidfVectorizer(sublinear_tf=True, analyzer="char_wb", ngram_range=(3, 4), vocabulary=vocabulary)
