"""``frozen``: the bundle's vectors as they are, beside the partner's own evidence, as inputs of gradient-boosted trees.

Without vectors it is what a good engineer ships: the same trees on lexical and structured evidence alone.
"""

import json
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np

from m5model.partners import inputs
from m5model.partners.boosting import OBJECTIVES, TreeSettings, fit_trees, load_trees, predict, save_trees
from m5model.partners.data import PartnerData
from m5model.partners.evaluation.scored import pair_with_truth
from m5model.partners.strategy import Given, Scores
from m5model.partners.vectors import Vectors
from schemas.registry import list_members

SUMMARY = "vectors and the partner's evidence as inputs of gradient-boosted trees"
NEEDS = "labels, a student bundle; some hundred labelled rows are enough"
COSTS = "the encoding of every text once, then seconds; no torch"
GOOD_FOR = "a first answer, and production beside features that a team has already"
SERVES = tuple(kind for kind in list_members(inputs) if kind in OBJECTIVES)
USES_VECTORS = True
DOES_WITHOUT = True  # fitted without vectors, too, so that a report says what they add
TRAINS_ENCODER = False

KIND_FILE = "kind.json"


@dataclass(frozen=True, kw_only=True)
class Settings(TreeSettings):
    """The trees."""


class Frozen:
    """Inputs of rows, and the trees that read them."""

    def __init__(self, kind: str, rows: Any, trees: lightgbm.Booster) -> None:
        self.kind = kind
        self.inputs = rows
        self.trees = trees

    def scores(self, data: PartnerData, vectors: Vectors | None, rows: np.ndarray) -> Scores:
        """Probabilities (k,)."""
        return Scores(values=predict(self.trees, self.inputs.matrix(data, vectors, rows)))

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / KIND_FILE).write_text(json.dumps({"kind": self.kind}), encoding="utf-8")
        self.inputs.save(folder)
        save_trees(self.trees, folder)


def fit(given: Given, settings: Settings) -> Frozen:
    """Trees on the split learn."""
    kind, rows = given.data.partner.labels.name, given.learn()
    found = import_module(f"{inputs.__name__}.{kind}").fit(given, rows)
    truth = pair_with_truth(given.data, rows, np.zeros(len(rows)))
    trees = fit_trees(
        getattr(found, "learning_matrix", found.matrix)(given.data, given.vectors, rows),
        truth.targets,
        truth.weights,
        settings,
        objective=OBJECTIVES[kind],
        names=found.names,
        seed=given.seed,
        threads=given.threads,
    )
    return Frozen(kind, found, trees)


def load(folder: Path) -> Frozen:
    kind = json.loads((folder / KIND_FILE).read_text(encoding="utf-8"))["kind"]
    return Frozen(kind, import_module(f"{inputs.__name__}.{kind}").load(folder), load_trees(folder))
