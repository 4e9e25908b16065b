"""The space in which classes are told apart: vectors as they are, centred, or with the spread inside classes made even.

Tensor suffixes: B rows, D dimensions, C classes.
"""

from pathlib import Path
from typing import Literal

import numpy as np

from schemas.errors import ConfigurationError, SpaceMismatchError

Form = Literal["plain", "centred", "even"]
FORMS: tuple[Form, ...] = ("plain", "centred", "even")
SHRINKAGE = 0.1  # share of the mean variance in the spread's estimate, which has few rows per dimension
FILE = "space.npz"


class ClassSpace:
    """Unit vectors after a shift and a map."""

    def __init__(self, space_id: str, mean_D: np.ndarray, map_DD: np.ndarray) -> None:
        self.space_id = space_id
        self._mean_D = mean_D
        self._map_DD = map_DD

    @classmethod
    def fit(cls, vectors_BD: np.ndarray, label_B: np.ndarray, form: Form, space_id: str) -> "ClassSpace":
        """``label_B`` int: the class of each row. Even: Fisher's linear discriminant with a shrunken estimate, without labels'
        weights; directions in which listings of one class differ count less.
        """
        width = vectors_BD.shape[1]
        mean_D = np.zeros(width) if form == "plain" else vectors_BD.mean(axis=0).astype(np.float64)
        map_DD = np.eye(width) if form != "even" else _even_map(vectors_BD.astype(np.float64), label_B)
        return cls(space_id, mean_D.astype(np.float32), map_DD.astype(np.float32))

    def apply(self, vectors_BD: np.ndarray) -> np.ndarray:
        """Unit vectors (B, D) float32."""
        return to_unit((vectors_BD - self._mean_D) @ self._map_DD)

    def require(self, space_id: str) -> None:
        if space_id != self.space_id:
            raise SpaceMismatchError(
                f"the model reads vectors of the space {self.space_id}, these are of {space_id}",
                next_step="give vectors of the bundle that the experiment was made with",
            )

    def save(self, folder: Path) -> None:
        np.savez(folder / FILE, mean=self._mean_D, map=self._map_DD, space=np.asarray(self.space_id))

    @classmethod
    def load(cls, folder: Path) -> "ClassSpace":
        with np.load(folder / FILE) as kept:
            return cls(str(kept["space"]), kept["mean"], kept["map"])


def to_unit(vectors_BD: np.ndarray) -> np.ndarray:
    """Rows of length 1; a row of zeros stays one."""
    lengths_B1 = np.linalg.norm(vectors_BD, axis=1, keepdims=True)
    return (vectors_BD / np.maximum(lengths_B1, 1e-12)).astype(np.float32)


def _even_map(vectors_BD: np.ndarray, label_B: np.ndarray) -> np.ndarray:
    """The inverse root (D, D) of the covariance inside classes."""
    classes = int(label_B.max(initial=-1)) + 1
    if not classes:
        raise ConfigurationError("there is no row to fit a space on", next_step="give rows in the split learn")
    sums_CD = np.zeros((classes, vectors_BD.shape[1]))
    np.add.at(sums_CD, label_B, vectors_BD)
    counts_C = np.bincount(label_B, minlength=classes)
    inner_BD = vectors_BD - (sums_CD / np.maximum(counts_C, 1)[:, None])[label_B]
    spread_DD = inner_BD.T @ inner_BD / max(1, len(inner_BD) - classes)
    mean_variance = np.trace(spread_DD) / len(spread_DD) + 1e-12
    spread_DD = (1 - SHRINKAGE) * spread_DD + SHRINKAGE * mean_variance * np.eye(len(spread_DD))
    values_D, parts_DD = np.linalg.eigh(spread_DD)
    return np.asarray(parts_DD / np.sqrt(np.maximum(values_D, 1e-12)) @ parts_DD.T)
