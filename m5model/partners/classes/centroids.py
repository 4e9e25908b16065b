"""A class as the mean of its listings' vectors: plain, without its outliers, or one a language.

Tensor suffixes: B rows, D dimensions, C classes.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from m5model.partners.classes.space import to_unit

TRIMMED_SHARE = 0.2  # of a class's listings, those that lie furthest from its centroid
TRIM_FROM = 5  # listings of a class; of fewer, none is an outlier
LANGUAGE_FROM = 3  # listings of a class in a language that it gets a centroid of its own for
FILE, LANGUAGES_FILE = "centroids.npz", "languages.json"


@dataclass(frozen=True, kw_only=True)
class Centroids:
    """Unit vectors of classes. A language is "" for all languages together; a class may lack a centroid in the others."""

    languages: tuple[str, ...]  # "" first
    vectors: np.ndarray  # (languages, C, D) float32; zeros where there is none
    counts: np.ndarray  # (C,) int64: listings of each class

    @classmethod
    def fit(
        cls, vectors_BD: np.ndarray, label_B: np.ndarray, classes: int, languages: list[str] | None, *, trimmed: bool
    ) -> "Centroids":
        """``languages`` of the rows, where each class gets a centroid a language, too."""
        names = ("", *sorted({one for one in languages or () if one}))
        known = np.asarray(languages or [""] * len(label_B), object)
        parts = []
        for name in names:
            rows = np.flatnonzero(known == name) if name else np.arange(len(label_B))
            means_CD = _means(vectors_BD[rows], label_B[rows], classes, trimmed)
            few = np.bincount(label_B[rows], minlength=classes) < (LANGUAGE_FROM if name else 1)
            means_CD[few] = 0
            parts.append(means_CD)
        return cls(languages=names, vectors=np.stack(parts), counts=np.bincount(label_B, minlength=classes))

    def similarities(self, vectors_BD: np.ndarray, languages: list[str | None]) -> np.ndarray:
        """Cosines (B, C) float32 with the centroid in the row's language, or with that of all where there is none."""
        found_BC = vectors_BD @ self.vectors[0].T
        for place, name in enumerate(self.languages[1:], 1):
            rows = np.flatnonzero(np.asarray(languages, object) == name)
            has_one = np.flatnonzero(self.vectors[place].any(axis=1))
            if len(rows) and len(has_one):
                found_BC[np.ix_(rows, has_one)] = vectors_BD[rows] @ self.vectors[place][has_one].T
        found_BC[:, self.counts == 0] = -1
        return np.asarray(found_BC, np.float32)

    def save(self, folder: Path) -> None:
        np.savez(folder / FILE, vectors=self.vectors, counts=self.counts)
        (folder / LANGUAGES_FILE).write_text(json.dumps(self.languages), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> "Centroids":
        languages = tuple(json.loads((folder / LANGUAGES_FILE).read_text(encoding="utf-8")))
        with np.load(folder / FILE) as kept:
            return cls(languages=languages, vectors=kept["vectors"], counts=kept["counts"])


def _means(vectors_BD: np.ndarray, label_B: np.ndarray, classes: int, trimmed: bool) -> np.ndarray:
    """Unit means (C, D); zeros of a class without rows."""
    means_CD = _unit_sums(vectors_BD, label_B, classes)
    if not trimmed:
        return means_CD
    cosine_B = (vectors_BD * means_CD[label_B]).sum(axis=1)
    order = np.lexsort((cosine_B, label_B))  # by class, the furthest first
    counts_C = np.bincount(label_B, minlength=classes)
    starts_C = np.cumsum(counts_C) - counts_C
    rank_B = np.arange(len(order)) - starts_C[label_B[order]]
    dropped_C = np.where(counts_C >= TRIM_FROM, (counts_C * TRIMMED_SHARE).astype(np.int64), 0)
    kept = order[rank_B >= dropped_C[label_B[order]]]
    return _unit_sums(vectors_BD[kept], label_B[kept], classes)


def _unit_sums(vectors_BD: np.ndarray, label_B: np.ndarray, classes: int) -> np.ndarray:
    sums_CD = np.zeros((classes, vectors_BD.shape[1]), np.float64)
    np.add.at(sums_CD, label_B, vectors_BD)
    return to_unit(sums_CD)
