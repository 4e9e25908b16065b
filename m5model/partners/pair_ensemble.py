"""Pairs judged by a model that reads texts and by trees on lexical and structured evidence, weighed on the split validate.

``alone`` leaves the trees out: the model as a drop-in replacement.
"""

from pathlib import Path
from typing import Protocol

import numpy as np

from m5model.partners.data import PartnerData
from m5model.partners.evaluation.scored import pair_with_truth
from m5model.partners.stacking import Stack, fit_stack
from m5model.partners.strategies import frozen
from m5model.partners.strategy import Given, Scores
from m5model.partners.vectors import Vectors

STACK_FILE = "stack.json"
TREES_FOLDER = "trees"
READER_FOLDER = "reader"


class Reader(Protocol):
    """A fine-tuned model that gives a number for a pair of texts."""

    name: str

    def read(self, data: PartnerData, rows: np.ndarray) -> np.ndarray:
        """Scores (k,) of the rows (k,)."""
        ...

    def save(self, folder: Path) -> None: ...


class PairEnsemble:
    """The reader's score alone, or weighed with that of trees."""

    def __init__(self, reader: Reader, trees: frozen.Frozen | None, stack: Stack | None) -> None:
        self.reader = reader
        self._trees = trees
        self._stack = stack

    def scores(self, data: PartnerData, vectors: Vectors | None, rows: np.ndarray) -> Scores:
        """Of the ensemble: probabilities; of the reader alone: its own scores."""
        read = self.reader.read(data, rows)
        if self._trees is None or self._stack is None:
            return Scores(values=read)
        return Scores(values=self._stack.apply(np.stack([read, self._trees.scores(data, None, rows).values], axis=1)))

    def parts(self, data: PartnerData, vectors: Vectors | None, rows: np.ndarray) -> dict[str, Scores]:
        """Returns what each part says by itself."""
        return {f"{self.reader.name} alone": Scores(values=self.reader.read(data, rows))} if self._stack else {}

    def own_vectors(self) -> Vectors | None:
        """Returns those that the reader has learned; None of a reader of both texts at once."""
        vectors: Vectors | None = getattr(self.reader, "vectors", None)
        return vectors

    def save(self, folder: Path) -> None:
        self.reader.save(folder / READER_FOLDER)
        if self._trees is not None and self._stack is not None:
            self._trees.save(folder / TREES_FOLDER)
            self._stack.save(folder / STACK_FILE)


def weigh(given: Given, reader: Reader, *, alone: bool) -> PairEnsemble:
    """Fit the trees on learn, without our vectors, and the weights of both on validate, which neither has seen."""
    if alone:
        return PairEnsemble(reader, None, None)
    trees = frozen.fit(given.without_vectors(), frozen.Settings())
    rows = given.data.rows_of("validate")
    scores = np.stack([reader.read(given.data, rows), trees.scores(given.data, None, rows).values], axis=1)
    truth = pair_with_truth(given.data, rows, scores[:, 0])
    return PairEnsemble(reader, trees, fit_stack((reader.name, "trees"), scores, truth.targets))


def load_ensemble(folder: Path, reader: Reader) -> PairEnsemble:
    """Returns what was saved, around a reader that was loaded."""
    file = folder / STACK_FILE
    if not file.is_file():
        return PairEnsemble(reader, None, None)
    return PairEnsemble(reader, frozen.load(folder / TREES_FOLDER), Stack.load(file))
