"""Sets the bar for vectors by what a good engineer would try first: TF-IDF over words or pieces of words, and BM25.

Shape suffixes: N texts, P pairs, Q queries, B groups.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import scipy.sparse as sp
from sklearn.feature_extraction.text import TfidfVectorizer

# A word is any run of letters and digits: single characters count, since many sizes and Japanese words are such.
WORD = r"(?u)\b\w+\b"
MINIMUM_NORM = 1e-9


@dataclass(frozen=True)
class TfIdf:
    """Texts as unit TF-IDF vectors, and the vectorizer that made them."""

    vectorizer: TfidfVectorizer
    matrix_NF: sp.csr_matrix

    @classmethod
    def of(cls, texts: Sequence[str], unit: Literal["words", "pieces"]) -> "TfIdf":
        """``words``, or ``pieces``: runs of three characters within a word."""
        if unit == "words":
            vectorizer = TfidfVectorizer(sublinear_tf=True, token_pattern=WORD)
        else:
            vectorizer = TfidfVectorizer(sublinear_tf=True, analyzer="char_wb", ngram_range=(3, 3), min_df=2)
        return cls(vectorizer, vectorizer.fit_transform(texts).tocsr())

    def cosines(self, left_P: np.ndarray, right_P: np.ndarray) -> np.ndarray:
        """Cosine of each pair of texts (P,)."""
        return np.asarray(self.matrix_NF[left_P].multiply(self.matrix_NF[right_P]).sum(axis=1)).ravel()

    def neighbours(self, rows: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
        """The nearest other texts among ``rows``: places in ``rows`` and cosines, both (len(rows), count), nearest first."""
        cosines = (self.matrix_NF[rows] @ self.matrix_NF[rows].T).toarray()
        np.fill_diagonal(cosines, -1)
        nearest = np.argsort(-cosines, axis=1, kind="stable")[:, :count]
        return nearest, np.take_along_axis(cosines, nearest, axis=1)

    def scores(self, queries: Sequence[str]) -> np.ndarray:
        """Cosine of every query to every text (Q, N)."""
        return (self.vectorizer.transform(queries) @ self.matrix_NF.T).toarray()

    def nearest_group(self, group_N: np.ndarray, groups: int) -> np.ndarray:
        """The group whose centroid is nearest to each text, its own group without itself (N,); -1 for texts without a group."""
        rows = np.flatnonzero(group_N >= 0)
        own = group_N[rows]
        ones = np.ones(len(rows))
        totals_BF = (sp.csr_matrix((ones, (own, rows)), shape=(groups, len(group_N))) @ self.matrix_NF).tocsr()
        scores = (self.matrix_NF[rows] @ totals_BF.T).toarray() / _norms(totals_BF)
        without = totals_BF[own] - self.matrix_NF[rows]
        alone = np.asarray(without.multiply(self.matrix_NF[rows]).sum(axis=1)).ravel()
        scores[np.arange(len(rows)), own] = alone / np.maximum(_norms(without), MINIMUM_NORM)
        found = np.full(len(group_N), -1)
        found[rows] = scores.argmax(axis=1)
        return found


def bm25_scores(texts: Sequence[str], queries: Sequence[str]) -> np.ndarray:
    """BM25 of every query on every text (Q, N), over words."""
    import bm25s

    logging.getLogger("bm25s").setLevel(logging.WARNING)  # importing it sets DEBUG

    def tokenize(listed: Sequence[str]) -> list[list[str]]:
        tokens: list[list[str]] = bm25s.tokenize(
            list(listed), token_pattern=WORD, stopwords=[], return_ids=False, show_progress=False
        )
        return tokens

    index = bm25s.BM25()
    index.index(tokenize(texts), show_progress=False)
    scores_QN = np.zeros((len(queries), len(texts)))
    for query, words in enumerate(tokenize(queries)):
        known = [word for word in words if word in index.vocab_dict]
        if known:
            scores_QN[query] = index.get_scores(known)
    return scores_QN


def _norms(matrix: sp.csr_matrix) -> np.ndarray:
    return np.sqrt(np.asarray(matrix.multiply(matrix).sum(axis=1)).ravel())
