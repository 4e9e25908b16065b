"""Scores become probabilities: Platt's sigmoid or an isotonic curve, whichever predicts rows that it did not see better.

Fitted on the split validate, applied elsewhere; both are increasing, so that ranks stay (an isotonic curve makes ties).
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from m5model.files.manifests import from_json
from m5model.partners.evaluation.metrics.binary import probability_loss
from m5model.partners.evaluation.scored import Scored

FOLDS = 5
MIN_POSITIVES = 10  # fewer of either outcome say nothing about a curve
EDGE = 1e-4  # probabilities stay this far from 0 and 1: no number of rows proves more

Method = Literal["platt", "isotonic"]


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """A curve through points; scores beyond the last point get its probability."""

    method: Method
    scores: tuple[float, ...]  # ascending
    probabilities: tuple[float, ...]

    def apply(self, scores: np.ndarray) -> np.ndarray:
        """Probabilities (n,) float64 of scores (n,)."""
        return np.clip(np.interp(scores, self.scores, self.probabilities), EDGE, 1 - EDGE)

    def save(self, file: Path) -> None:
        file.write_text(json.dumps(asdict(self)), encoding="utf-8")

    @classmethod
    def load(cls, file: Path) -> "Calibration":
        return from_json(cls, file.read_bytes(), str(file))


def fit_calibration(scored: Scored) -> Calibration | None:
    """The better of both methods by cross-validation over rows; None where there are too few of an outcome."""
    outcomes = scored.targets.astype(np.float64)
    positives = float((outcomes * scored.weights).sum())
    if min(positives, float(scored.weights.sum()) - positives) < MIN_POSITIVES or len(np.unique(scored.scores)) < 2:
        return None
    losses = {method: _held_out_loss(method, scored) for method in ("platt", "isotonic")}
    best: Method = "isotonic" if losses["isotonic"] < losses["platt"] else "platt"
    return _fit(best, scored)


def _held_out_loss(method: Method, scored: Scored) -> float:
    """Mean negative log likelihood of rows of other entities than the curve was fitted on."""
    fold = np.unique(scored.entity, return_inverse=True)[1] % FOLDS
    probabilities = np.full(len(scored), float((scored.targets * scored.weights).sum() / scored.weights.sum()))
    for number in range(FOLDS):
        inside, outside = np.flatnonzero(fold == number), np.flatnonzero(fold != number)
        part = scored.select(outside)
        if len(inside) and len(outside) and 0 < part.targets.sum() < len(part):
            probabilities[inside] = _fit(method, part).apply(scored.scores[inside])
    return probability_loss(_with_scores(scored, probabilities))


def _with_scores(scored: Scored, scores: np.ndarray) -> Scored:
    return Scored(scores=scores, targets=scored.targets, entity=scored.entity, weights=scored.weights)


def _fit(method: Method, scored: Scored) -> Calibration:
    outcomes = scored.targets.astype(np.float64)
    points = np.unique(scored.scores)
    if method == "isotonic":
        curve = IsotonicRegression(y_min=0, y_max=1).fit(scored.scores, outcomes, sample_weight=scored.weights)
        xs, ys = curve.X_thresholds_, curve.y_thresholds_
        return Calibration(method=method, scores=tuple(map(float, xs)), probabilities=tuple(map(float, ys)))
    grid = np.linspace(points[0], points[-1], 201)
    values = _logit(scored.scores)[:, None]
    both = np.concatenate([values, values])
    labels = np.concatenate([np.ones(len(values)), np.zeros(len(values))])
    weights = np.concatenate([outcomes * scored.weights, (1 - outcomes) * scored.weights])
    sigmoid = LogisticRegression(C=1e3).fit(both, labels, sample_weight=weights)
    ys = sigmoid.predict_proba(_logit(grid)[:, None])[:, 1]
    return Calibration(method=method, scores=tuple(map(float, grid)), probabilities=tuple(map(float, ys)))


def _logit(scores: np.ndarray) -> np.ndarray:
    """Of scores that are probabilities; others (cosines, logits) are taken as they are."""
    if scores.min(initial=0) < 0 or scores.max(initial=0) > 1:
        return scores
    inner = np.clip(scores, 1e-6, 1 - 1e-6)
    return np.asarray(np.log(inner / (1 - inner)))
