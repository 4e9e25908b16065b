"""Classes that evidence proposes for a listing, each with numbers that a ranking can weigh.

Shape suffixes: B listings, N learned listings, C classes, K proposals, F inputs.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from m5model.partners.classes.centroids import Centroids
from m5model.partners.classes.space import ClassSpace
from m5model.partners.classes.words import NAMES as WORD_NAMES
from m5model.partners.classes.words import Neighbours, Texts, WordEvidence, block_rows

VECTOR_NAMES = ("centroid", "even_centroid", "neighbours", "nearest")
PROPOSED = 4  # classes by each kind of evidence


@dataclass(frozen=True, kw_only=True)
class Listings:
    """Listings as evidence sees them. ``vectors`` are None without our vectors."""

    texts: Texts
    vectors: np.ndarray | None  # (B, D) float32 unit vectors, centred
    even: np.ndarray | None  # (B, D) float32, in the space where the spread inside classes is even

    def __len__(self) -> int:
        return len(self.texts)

    def select(self, rows: np.ndarray) -> "Listings":
        return Listings(
            texts=self.texts.select(rows),
            vectors=None if self.vectors is None else self.vectors[rows],
            even=None if self.even is None else self.even[rows],
        )


@dataclass(frozen=True, kw_only=True)
class Proposals:
    """Proposals, those of a listing one after the other."""

    listing: np.ndarray  # (K,) int64
    label: np.ndarray  # (K,) int64
    inputs: np.ndarray  # (K, F) float32


class Evidence:
    """Learned listings of known classes, and what they say about others."""

    def __init__(self, learned: Listings, label_N: np.ndarray, classes: int) -> None:
        self._counts = np.bincount(label_N, minlength=classes)
        self._words = WordEvidence(learned.texts, label_N, classes)
        self._learned = learned
        self._neighbours = Neighbours(label_N, classes)
        self._centroids = [
            Centroids.fit(part, label_N, classes, None, trimmed=False)
            for part in (learned.vectors, learned.even)
            if part is not None
        ]

    def propose(self, listings: Listings) -> Proposals:
        """The best PROPOSED classes by each kind of evidence, with INPUTS of each."""
        step = block_rows(len(self._learned))
        parts = list(self._blocks(listings, step))
        return Proposals(
            listing=np.concatenate([part.listing for part in parts]),
            label=np.concatenate([part.label for part in parts]),
            inputs=np.concatenate([part.inputs for part in parts]),
        )

    def _blocks(self, listings: Listings, step: int) -> Iterator[Proposals]:
        for start in range(0, len(listings), step):
            rows = np.arange(start, min(start + step, len(listings)))
            part = listings.select(rows)
            scores = self._words.scores(part.texts) | self._vector_scores(part)
            found = _pick(list(scores.values()), self._counts)
            yield Proposals(listing=found.listing + start, label=found.label, inputs=found.inputs)

    def _vector_scores(self, part: Listings) -> dict[str, np.ndarray]:
        if part.vectors is None or part.even is None or self._learned.even is None:
            return {}
        everywhere: list[str | None] = [None] * len(part)
        centroids = [
            found.similarities(vectors, everywhere)
            for found, vectors in zip(self._centroids, (part.vectors, part.even), strict=True)
        ]
        votes, nearest = self._neighbours.count(part.even @ self._learned.even.T)
        return dict(zip(VECTOR_NAMES, (*centroids, votes.astype(np.float32), nearest), strict=True))


def input_names(*, has_vectors: bool) -> tuple[str, ...]:
    """Names of the inputs of a proposal: a score, how far it is behind the listing's best, and its lead over the next one."""
    kinds = WORD_NAMES + (VECTOR_NAMES if has_vectors else ())
    return tuple(f"{name}{ending}" for name in kinds for ending in ("", "_behind", "_lead")) + ("log_listings", "agreeing")


def _pick(scores: list[np.ndarray], counts: np.ndarray) -> Proposals:
    chosen_BC = np.zeros(scores[0].shape, np.int8)
    columns: list[np.ndarray] = []
    for score_BC in scores:
        some = min(PROPOSED, score_BC.shape[1])
        top = np.argpartition(-score_BC, some - 1, axis=1)[:, :some]
        is_told = np.take_along_axis(score_BC, top, axis=1) > score_BC.min(axis=1, keepdims=True)
        np.put_along_axis(chosen_BC, top, np.take_along_axis(chosen_BC, top, axis=1) + is_told.astype(np.int8), axis=1)
    chosen_BC[:, counts == 0] = 0
    listing, label = np.nonzero(chosen_BC)
    for score_BC in scores:
        best_two = _best_two(score_BC)
        own = score_BC[listing, label]
        best, second = best_two[listing, 0], best_two[listing, 1]
        columns += [own, own - best, np.where(own >= best, own - second, own - best)]
    columns += [np.log1p(counts[label]), chosen_BC[listing, label]]
    return Proposals(listing=listing, label=label, inputs=np.stack(columns, axis=1).astype(np.float32))


def _best_two(score_BC: np.ndarray) -> np.ndarray:
    if score_BC.shape[1] < 2:
        return np.repeat(score_BC, 2, axis=1)
    return -np.partition(-score_BC, 1, axis=1)[:, :2]


def center_and_even(vectors_BD: np.ndarray | None, spaces: tuple[ClassSpace, ...]) -> tuple[np.ndarray | None, ...]:
    """The vectors in the centred and in the even space; None twice without vectors."""
    return (None, None) if vectors_BD is None else tuple(space.apply(vectors_BD) for space in spaces)
