"""Gradient-boosted trees that give the same model every time, and are kept as text."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import lightgbm
import numpy as np

from schemas.checks import at_least, is_number, require

MODEL_FILE = "trees.txt"
# What is learned of each label kind. cross_entropy takes shares: a click rate, weighted by its impressions.
OBJECTIVES: Mapping[str, str] = {"pairs": "binary", "clicks": "cross_entropy", "relevance": "cross_entropy"}


@dataclass(frozen=True, kw_only=True)
class TreeSettings:
    """Raises ConfigurationError that lists every problem at once."""

    trees: int = 400
    learning_rate: float = 0.03
    leaves: int = 15
    min_rows: int = 8  # of a leaf
    inputs_share: float = 0.5  # of the inputs that a tree may use
    rows_share: float = 0.8  # of the rows that a tree learns from
    l2: float = 1.0

    def __post_init__(self) -> None:
        shares = ("learning_rate", "inputs_share", "rows_share")
        rules = {f"{name} is {getattr(self, name)!r}, expected above 0 and at most 1": self._is_share(name) for name in shares}
        rules |= at_least(self, trees=1, leaves=2, min_rows=1)
        rules[f"l2 is {self.l2!r}, expected 0 or more"] = is_number(self.l2, 0)
        require("settings of trees", rules)

    def _is_share(self, name: str) -> bool:
        value = getattr(self, name)
        return is_number(value, 0, 1) and value > 0


def fit_trees(
    matrix: np.ndarray,
    targets: np.ndarray,
    weights: np.ndarray,
    settings: TreeSettings,
    *,
    objective: str,
    names: tuple[str, ...],
    seed: int,
    threads: int,
) -> lightgbm.Booster:
    """Trees of the inputs (n, f), targets (n,) and weights (n,). The number of threads does not change them."""
    parameters = {
        "objective": objective,
        "learning_rate": settings.learning_rate,
        "num_leaves": settings.leaves,
        "min_data_in_leaf": settings.min_rows,
        "feature_fraction": settings.inputs_share,
        "bagging_fraction": settings.rows_share,
        "bagging_freq": 1,
        "lambda_l2": settings.l2,
        "seed": seed,
        "num_threads": max(1, threads),
        "deterministic": True,
        "force_row_wise": True,
        "verbosity": -1,
    }
    rows = lightgbm.Dataset(matrix, label=targets.astype(np.float64), weight=weights, feature_name=list(names))
    return lightgbm.train(parameters, rows, num_boost_round=settings.trees)


def predict(trees: lightgbm.Booster, matrix: np.ndarray, threads: int = 1) -> np.ndarray:
    """Probabilities (n,)."""
    return np.asarray(trees.predict(matrix, num_threads=threads), np.float64)


def save_trees(trees: lightgbm.Booster, folder: Path) -> None:
    (folder / MODEL_FILE).write_text(trees.model_to_string(), encoding="utf-8")


def load_trees(folder: Path) -> lightgbm.Booster:
    return lightgbm.Booster(model_str=(folder / MODEL_FILE).read_text(encoding="utf-8"))
