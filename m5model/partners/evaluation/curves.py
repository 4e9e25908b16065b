"""Curves that a report draws, as points: precision over recall, and outcomes over probabilities."""

from dataclasses import dataclass

import numpy as np
from sklearn.metrics import precision_recall_curve

from m5model.partners.evaluation.scored import Scored, predicted

POINTS = 120
BINS = 12


@dataclass(frozen=True, kw_only=True)
class Curve:
    """Points of one line; both axes run from 0 to 1."""

    name: str  # whose line it is
    x: tuple[float, ...]
    y: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class Picture:
    """Lines in one frame."""

    title: str
    x_axis: str
    y_axis: str
    curves: tuple[Curve, ...]
    diagonal: bool = False  # is there one that a perfect model lies on?


def draw_precision(scored: dict[str, Scored]) -> Picture:
    """Precision over recall of several models of yes or no."""
    curves = []
    for name, one in scored.items():
        precision, recall, _ = precision_recall_curve(one.targets.astype(np.float64) >= 0.5, one.scores)
        wanted = np.linspace(0, 1, POINTS)
        heights = [float(precision[recall >= share].max(initial=0.0)) for share in wanted]
        curves.append(Curve(name=name, x=tuple(map(float, wanted)), y=tuple(heights)))
    return Picture(title="Precision over recall", x_axis="recall", y_axis="precision", curves=tuple(curves))


def draw_answers(scored: dict[str, Scored]) -> Picture:
    """Precision over recall of several models' answers, the most confident first; recall is of rows that have an answer."""
    wanted = np.linspace(0, 1, POINTS)
    curves = []
    for name, one in scored.items():
        said, confidence = predicted(one)
        answered = np.flatnonzero([value is not None for value in said])
        order = answered[np.argsort(-confidence[answered], kind="stable")]
        right = np.zeros(len(order)) if one.right is None else one.right[order].astype(np.float64)
        recall = np.cumsum(right) / max(1, len(one) if one.stated is None else int(one.stated.sum()))
        precision = np.cumsum(right) / np.arange(1, len(right) + 1)
        heights = tuple(float(precision[recall >= share].max(initial=0.0)) for share in wanted)
        curves.append(Curve(name=name, x=tuple(map(float, wanted)), y=heights))
    return Picture(title="Precision over recall", x_axis="recall", y_axis="precision", curves=tuple(curves))


def draw_reliability(probabilities: dict[str, np.ndarray], scored: Scored) -> Picture:
    """Mean outcome over mean probability, in bins of equally many rows."""
    curves = []
    for name, values in probabilities.items():
        parts = [part for part in np.array_split(np.argsort(values, kind="stable"), BINS) if len(part)]
        x = tuple(float(values[part].mean()) for part in parts)
        y = tuple(float(np.average(scored.targets[part].astype(np.float64), weights=scored.weights[part])) for part in parts)
        curves.append(Curve(name=name, x=x, y=y))
    return Picture(
        title="Are probabilities what they say?",
        x_axis="probability",
        y_axis="share that is true",
        curves=tuple(curves),
        diagonal=True,
    )
