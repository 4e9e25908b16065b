"""Small dense networks of numbers to one probability: trained by torch, run by numpy.

Tensor suffixes: B rows, F inputs.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from schemas.checks import at_least, from_0_to_1, is_whole, require

SMALLEST = 1e-6  # deviation of an input that is divided by


@dataclass(frozen=True, kw_only=True)
class NetworkSettings:
    """Raises ConfigurationError that lists every problem at once."""

    widths: tuple[int, ...] = (64, 32)  # of the hidden layers
    rounds: int = 30  # over the rows that are learned from, at most
    rows: int = 256  # of a step
    learning_rate: float = 1e-3
    weight_decay: float = 1e-2
    dropout: float = 0.2
    patience: int = 4  # rounds without a better loss on validate, after which it ends

    def __post_init__(self) -> None:
        rules = at_least(self, rounds=0, rows=1, patience=1)
        rules |= from_0_to_1(self, "learning_rate", "weight_decay", "dropout")
        rules[f"widths are {self.widths!r}, expected whole numbers of 1 or more"] = all(is_whole(one, 1) for one in self.widths)
        require("settings of a network", rules)


@dataclass(frozen=True, kw_only=True)
class Network:
    """Inputs are centred and scaled as those that were learned from; one that is not known is 0, and a flag beside says so."""

    mean_F: np.ndarray
    deviation_F: np.ndarray
    weights: tuple[np.ndarray, ...]  # of the layers, inputs x outputs
    biases: tuple[np.ndarray, ...]

    def logits(self, matrix_BF: np.ndarray) -> np.ndarray:
        """(B,) float64."""
        values = prepare(matrix_BF, self.mean_F, self.deviation_F)
        for weight, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            values = np.maximum(values @ weight + bias, 0)
        return np.asarray(values @ self.weights[-1] + self.biases[-1], np.float64)[:, 0]

    def save(self, file: Path) -> None:
        layers: dict[str, Any] = {"mean": self.mean_F, "deviation": self.deviation_F}
        layers |= {f"weight{number}": one for number, one in enumerate(self.weights)}
        layers |= {f"bias{number}": one for number, one in enumerate(self.biases)}
        np.savez(file, **layers)

    @classmethod
    def load(cls, file: Path) -> "Network":
        with np.load(file) as kept:
            count = sum(name.startswith("weight") for name in kept.files)
            layers = [tuple(kept[f"{name}{number}"] for number in range(count)) for name in ("weight", "bias")]
            return cls(mean_F=kept["mean"], deviation_F=kept["deviation"], weights=layers[0], biases=layers[1])


def to_probability(logits: np.ndarray) -> np.ndarray:
    """(B,) from 0 to 1."""
    return np.asarray(1 / (1 + np.exp(-np.clip(logits, -60, 60))))


def prepare(matrix_BF: np.ndarray, mean_F: np.ndarray, deviation_F: np.ndarray) -> np.ndarray:
    """(B, 2F) float32: scaled inputs, and flags of those that are not known."""
    scaled_BF = (matrix_BF - mean_F) / deviation_F
    unknown_BF = ~np.isfinite(scaled_BF)
    return np.concatenate([np.where(unknown_BF, 0.0, np.clip(scaled_BF, -8, 8)), unknown_BF], axis=1).astype(np.float32)


def scales_of(matrix_BF: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and deviation (F,) of what is known; 0 and 1 of an input that nobody knows."""
    known_BF = np.isfinite(matrix_BF)
    counts_F = np.maximum(known_BF.sum(axis=0), 1)
    mean_F = np.where(known_BF, matrix_BF, 0).sum(axis=0) / counts_F
    spread_F = np.sqrt(np.where(known_BF, (matrix_BF - mean_F) ** 2, 0).sum(axis=0) / counts_F)
    return mean_F, np.where(spread_F > SMALLEST, spread_F, 1.0)


def layer_sizes(inputs: int, widths: Sequence[int]) -> list[tuple[int, int]]:
    return list(pairwise((2 * inputs, *widths, 1)))
