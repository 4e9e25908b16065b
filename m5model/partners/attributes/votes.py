"""Votes of similar listings: which values did the nearest learned listings have for an attribute?

Tensor suffixes: B questions, N learned texts, D dimensions.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from m5model.partners.attributes.questions import Question
from m5model.partners.values import normalise_value
from m5model.partners.vectors import Vectors
from schemas.errors import SpaceMismatchError

NEIGHBOURS = 15
FILE, VECTORS_FILE = "votes.json", "votes.npz"
BLOCK = 2_048  # texts whose similarities are held at once


@dataclass(frozen=True, kw_only=True)
class Vote:
    """Holds what the neighbours of a listing say about one attribute."""

    values: dict[str, float]  # normalised value → its share of the similarity of those that state one
    nearest: dict[str, float]  # normalised value → similarity of the nearest one that has it
    asked: int  # neighbours that were asked the same
    stated: float  # share of those that state a value


class Voters:
    """Learned texts with their vectors and their labelled attributes."""

    def __init__(
        self, space_id: str, vectors_ND: np.ndarray, folds: np.ndarray, known: list[dict[str, tuple[str, ...]]]
    ) -> None:
        self.space_id = space_id
        self._mean_D = vectors_ND.mean(axis=0)
        self._vectors_ND = vectors_ND
        self._centred_ND = _centre(vectors_ND, self._mean_D)
        self._folds = folds  # (N,)
        self._known = known  # of each text: attribute → normalised values

    @classmethod
    def fit(cls, questions: Sequence[Question], folds: Sequence[int], vectors: Vectors) -> "Voters":
        place: dict[str, int] = {}
        known: list[dict[str, tuple[str, ...]]] = []
        of_text: list[int] = []
        for question, fold in zip(questions, folds, strict=True):
            number = place.setdefault(question.text, len(place))
            if number == len(known):
                known.append({})
                of_text.append(fold)
            values = (normalise_value(value, question.language) for value in question.values)
            known[number][question.name] = tuple(sorted(set(values)))
        return cls(vectors.space_id, vectors.of(list(place)), np.asarray(of_text), known)

    def ask(self, questions: Sequence[Question], vectors: Vectors, folds: Sequence[int] | None = None) -> list[Vote]:
        """A vote for each question, by texts of other folds than its own."""
        if vectors.space_id != self.space_id:
            raise SpaceMismatchError(
                f"the model reads vectors of the space {self.space_id}, these are of {vectors.space_id}",
                next_step="give vectors of the bundle that the experiment was made with",
            )
        texts = list(dict.fromkeys(question.text for question in questions))
        fold_of = dict(zip((question.text for question in questions), folds or [-1] * len(questions), strict=True))
        near: dict[str, tuple[np.ndarray, np.ndarray]] = {}
        for start in range(0, len(texts), BLOCK):
            near |= self._nearest(texts[start : start + BLOCK], vectors, fold_of)
        return [self._count(question, *near[question.text]) for question in questions]

    def save(self, folder: Path) -> None:
        np.savez(folder / VECTORS_FILE, vectors=self._vectors_ND, folds=self._folds, space=np.asarray(self.space_id))
        (folder / FILE).write_text(json.dumps(self._known, ensure_ascii=False), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> "Voters | None":
        if not (folder / FILE).is_file():
            return None
        known = json.loads((folder / FILE).read_text(encoding="utf-8"))
        with np.load(folder / VECTORS_FILE) as kept:
            named = [{name: tuple(values) for name, values in one.items()} for one in known]
            return cls(str(kept["space"]), kept["vectors"], kept["folds"], named)

    def _nearest(self, texts: list[str], vectors: Vectors, fold_of: dict[str, int]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """The nearest learned texts of each text, many enough that some were asked the same, and their similarities."""
        similar_BN = _centre(vectors.of(texts), self._mean_D) @ self._centred_ND.T
        own = np.asarray([fold_of[text] for text in texts])
        similar_BN[own[:, None] == self._folds[None, :]] = -1
        some = min(4 * NEIGHBOURS, similar_BN.shape[1])
        near = np.argpartition(-similar_BN, some - 1, axis=1)[:, :some]
        values = np.take_along_axis(similar_BN, near, axis=1)
        order = np.argsort(-values, axis=1, kind="stable")
        near, values = np.take_along_axis(near, order, axis=1), np.take_along_axis(values, order, axis=1)
        return {text: (near[row], values[row]) for row, text in enumerate(texts)}

    def _count(self, question: Question, near: np.ndarray, similar: np.ndarray) -> Vote:
        """By the NEIGHBOURS nearest that were asked about the attribute."""
        totals: dict[str, float] = {}
        nearest: dict[str, float] = {}
        asked = stated = 0
        for place, similarity in zip(near, similar, strict=True):
            values = self._known[place].get(question.name)
            if values is None or similarity <= 0:
                continue
            asked += 1
            stated += bool(values)
            for value in values:
                totals[value] = totals.get(value, 0.0) + float(similarity)
                nearest.setdefault(value, float(similarity))
            if asked == NEIGHBOURS:
                break
        whole = sum(totals.values()) or 1.0
        shares = {value: total / whole for value, total in totals.items()}
        return Vote(values=shares, nearest=nearest, asked=asked, stated=stated / asked if asked else float("nan"))


def _centre(vectors_BD: np.ndarray, mean_D: np.ndarray) -> np.ndarray:
    centred_BD = vectors_BD - mean_D
    return np.asarray(centred_BD / np.maximum(np.linalg.norm(centred_BD, axis=1, keepdims=True), 1e-12), np.float32)
