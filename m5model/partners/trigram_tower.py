"""A query's vector from its letters alone: hashed letter trigrams, dense layers, the listings' space.

The deep structured semantic model (Huang et al. 2013). It needs no encoder where queries are answered: a sparse product and two
small ones.

Tensor suffixes: B queries, H buckets and layers, P dimensions.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy.sparse as sp

from m5model.partners.lexical_index import TextUnits, letter_trigrams
from m5model.partners.vector_map import to_unit

_WORDS = TextUnits("words")


def hash_trigrams(queries: Sequence[str], buckets: int) -> sp.csr_matrix:
    """Counts (B, buckets) of the trigrams of each query, rows of unit length."""
    columns, ends = [], [0]
    for words in _WORDS.of(queries):
        columns += [zlib.crc32(run.encode()) % buckets for word in words for run in letter_trigrams(word)]
        ends.append(len(columns))
    counts = sp.csr_matrix((np.ones(len(columns), np.float32), columns, ends), shape=(len(queries), buckets))
    counts.sum_duplicates()
    lengths = np.sqrt(np.asarray(counts.multiply(counts).sum(axis=1)).ravel())
    return sp.diags(1 / np.maximum(lengths, 1)).dot(counts).astype(np.float32).tocsr()


@dataclass(frozen=True, kw_only=True)
class TrigramTower:
    """Two dense layers: tanh after the first."""

    first_HH: np.ndarray  # buckets x layer
    first_H: np.ndarray
    second_HP: np.ndarray
    second_P: np.ndarray

    @property
    def buckets(self) -> int:
        return int(self.first_HH.shape[0])

    def apply(self, queries: Sequence[str]) -> np.ndarray:
        """Unit vectors (B, P) float32."""
        hidden_BH = np.tanh(hash_trigrams(queries, self.buckets) @ self.first_HH + self.first_H)
        return to_unit(hidden_BH @ self.second_HP + self.second_P)

    def save(self, file: Path) -> None:
        np.savez(file, first=self.first_HH, first_bias=self.first_H, second=self.second_HP, second_bias=self.second_P)

    @classmethod
    def load(cls, file: Path) -> "TrigramTower":
        with np.load(file) as kept:
            return cls(
                first_HH=kept["first"], first_H=kept["first_bias"], second_HP=kept["second"], second_P=kept["second_bias"]
            )
