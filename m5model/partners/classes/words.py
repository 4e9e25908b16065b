"""Says what a text's words say about classes: words that stand for one, similar texts, and word counts.

Shape suffixes: B texts, N learned texts, C classes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy.sparse as sp

from m5model.partners.inputs._tfidf import TfIdf

NAMES = ("token_votes", "words_bayes", "words_centroid", "pieces_centroid", "words_neighbours", "words_nearest")
NEIGHBOURS = 20
TOKEN_TEXTS, TOKEN_SHARE = 2, 0.8  # a word stands for a class where so many texts have it, that share of them of the class
PRIOR = 0.01  # of a word in a class where it was never seen
BLOCK = 20_000_000  # similarities that are held at once


@dataclass(frozen=True, kw_only=True)
class Texts:
    """Texts as weights of words, and of runs of characters, both of length 1."""

    words: sp.csr_matrix
    pieces: sp.csr_matrix

    @classmethod
    def of(cls, texts: Sequence[str], words: TfIdf, pieces: TfIdf) -> "Texts":
        return cls(words=words.vectors(texts).astype(np.float32), pieces=pieces.vectors(texts).astype(np.float32))

    def __len__(self) -> int:
        return int(self.words.shape[0])

    def select(self, rows: np.ndarray) -> "Texts":
        return Texts(words=self.words[rows], pieces=self.pieces[rows])

    def save(self, folder: Path) -> None:
        for name in ("words", "pieces"):
            sp.save_npz(folder / f"texts_{name}.npz", getattr(self, name))

    @classmethod
    def load(cls, folder: Path) -> "Texts":
        return cls(**{name: sp.load_npz(folder / f"texts_{name}.npz").tocsr() for name in ("words", "pieces")})


class WordEvidence:
    """Learned texts of known classes."""

    def __init__(self, texts: Texts, label_N: np.ndarray, classes: int) -> None:
        self._member_NC = membership(label_N, classes)
        self._words = texts.words
        self._token_votes = _standing_words(texts.words, self._member_NC)
        self._bayes, self._bayes_rest = _word_weights(texts.words, self._member_NC)
        self._centroids = [_unit(self._member_NC.T @ part).T.tocsr() for part in (texts.words, texts.pieces)]
        self._neighbours = Neighbours(label_N, classes)

    def scores(self, texts: Texts) -> dict[str, np.ndarray]:
        """NAMES → (B, C) float32."""
        present = texts.words.copy()
        present.data[:] = 1
        bayes = (texts.words @ self._bayes).toarray() + np.asarray(texts.words.sum(axis=1)) * self._bayes_rest
        similarities = (texts.words @ self._words.T).toarray()
        votes, nearest = self._neighbours.count(similarities)
        found = {
            "token_votes": (present @ self._token_votes).toarray(),
            "words_bayes": bayes,
            "words_centroid": (texts.words @ self._centroids[0]).toarray(),
            "pieces_centroid": (texts.pieces @ self._centroids[1]).toarray(),
            "words_neighbours": votes,
            "words_nearest": nearest,
        }
        return {name: np.asarray(score, np.float32) for name, score in found.items()}


class Neighbours:
    """Classes of the nearest learned texts."""

    def __init__(self, label_N: np.ndarray, classes: int) -> None:
        self._member_NC = membership(label_N, classes)
        self._order = np.argsort(label_N, kind="stable")
        counts = np.bincount(label_N, minlength=classes)
        self._present = np.flatnonzero(counts)
        self._starts = (np.cumsum(counts) - counts)[self._present]

    def count(self, similarities_BN: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Of each class (B, C): similarities of those among the NEIGHBOURS nearest added up, and that of the nearest one."""
        rows, width = similarities_BN.shape
        near = np.argpartition(-similarities_BN, min(NEIGHBOURS, width) - 1, axis=1)[:, :NEIGHBOURS]
        values = np.maximum(np.take_along_axis(similarities_BN, near, axis=1), 0)
        starts = np.arange(0, near.size + 1, near.shape[1])
        votes = sp.csr_matrix((values.ravel(), near.ravel(), starts), shape=(rows, width)) @ self._member_NC
        nearest = np.full((rows, self._member_NC.shape[1]), -1.0, np.float32)
        nearest[:, self._present] = np.maximum.reduceat(similarities_BN[:, self._order], self._starts, axis=1)
        return votes.toarray(), nearest


def membership(label_N: np.ndarray, classes: int) -> sp.csr_matrix:
    """(N, C): 1 where a row is of a class."""
    rows = len(label_N)
    return sp.csr_matrix((np.ones(rows, np.float32), label_N, np.arange(rows + 1)), shape=(rows, classes))


def block_rows(learned: int) -> int:
    """Texts whose similarities to all learned ones are held at once."""
    return max(1, BLOCK // max(1, learned))


def _standing_words(words: sp.csr_matrix, member_NC: sp.csr_matrix) -> sp.csr_matrix:
    """(terms, C): 1 where a word stands for a class."""
    present = words.copy()
    present.data[:] = 1
    together = (present.T @ member_NC).tocoo()
    texts_of = np.asarray(present.sum(axis=0)).ravel()
    stands = (together.data >= TOKEN_SHARE * texts_of[together.row]) & (texts_of[together.row] >= TOKEN_TEXTS)
    kept = (np.ones(int(stands.sum()), np.float32), (together.row[stands], together.col[stands]))
    return sp.csr_matrix(kept, shape=together.shape)


def _word_weights(words: sp.csr_matrix, member_NC: sp.csr_matrix) -> tuple[sp.csr_matrix, np.ndarray]:
    """Log probabilities of words in classes above that of a word never seen there (terms, C), and that one (C,)."""
    weights = (member_NC.T @ words).tocsr()
    totals = np.asarray(weights.sum(axis=1)).ravel() + PRIOR * words.shape[1]
    weights.data = np.log1p(weights.data / PRIOR)
    return weights.T.tocsr(), np.log(PRIOR / totals)


def _unit(matrix: sp.csr_matrix) -> sp.csr_matrix:
    lengths = np.sqrt(np.asarray(matrix.multiply(matrix).sum(axis=1)).ravel())
    return (sp.diags(1 / np.maximum(lengths, 1e-12)) @ matrix).tocsr()
