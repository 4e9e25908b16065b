"""Several models' scores become one: a logistic regression, fitted on rows that none of the models learned from.

With rows that were learned from, it would trust the model that remembers most. It has a weight a model, so that the few rows of
validate are enough.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression

from m5model.files.manifests import from_json

MARGIN = 1e-5  # probabilities are kept this far from 0 and 1 before their logits are taken


@dataclass(frozen=True, kw_only=True)
class Stack:
    """Weights of the models' standardised scores, in the order of the models."""

    names: tuple[str, ...]
    are_probabilities: tuple[bool, ...]  # their logits are taken; cosines and logits are read as they are
    means: tuple[float, ...]
    deviations: tuple[float, ...]
    weights: tuple[float, ...]
    bias: float

    def apply(self, scores: np.ndarray) -> np.ndarray:
        """Probabilities (n,) of the models' scores (n, m)."""
        standard = (_logits(scores, self.are_probabilities) - np.asarray(self.means)) / np.asarray(self.deviations)
        return np.asarray(1 / (1 + np.exp(-(standard @ np.asarray(self.weights) + self.bias))), np.float64)

    def save(self, file: Path) -> None:
        file.write_text(json.dumps(asdict(self)), encoding="utf-8")

    @classmethod
    def load(cls, file: Path) -> "Stack":
        return from_json(cls, file.read_bytes(), str(file))


def fit_stack(names: tuple[str, ...], scores: np.ndarray, outcomes: np.ndarray) -> Stack:
    """Of scores (n, m) and outcomes (n,) bool."""
    are_probabilities = tuple(bool(column.min() >= 0 and column.max() <= 1) for column in scores.T)
    logits = _logits(scores, are_probabilities)
    means, deviations = logits.mean(axis=0), np.maximum(logits.std(axis=0), 1e-9)
    regression = LogisticRegression(C=1.0).fit((logits - means) / deviations, outcomes)
    return Stack(
        names=names,
        are_probabilities=are_probabilities,
        means=tuple(map(float, means)),
        deviations=tuple(map(float, deviations)),
        weights=tuple(map(float, regression.coef_[0])),
        bias=float(regression.intercept_[0]),
    )


def _logits(scores: np.ndarray, are_probabilities: tuple[bool, ...]) -> np.ndarray:
    inner = np.clip(np.asarray(scores, np.float64), MARGIN, 1 - MARGIN)
    return np.where(np.asarray(are_probabilities), np.log(inner / (1 - inner)), scores)
