"""A learned map of unit vectors to fewer dimensions: centred, times a matrix, and of unit length again.

Tensor suffixes: B rows, D dimensions of the space, P of the map.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from m5model.partners.inputs._vectors import Directions
from schemas.errors import ConfigurationError

SMALLEST = 1e-12  # length that is divided by


@dataclass(frozen=True, kw_only=True)
class VectorMap:
    """unit((v - mean) @ matrix)."""

    mean_D: np.ndarray
    matrix_DP: np.ndarray

    @classmethod
    def principal(cls, vectors_BD: np.ndarray, dimensions: int) -> "VectorMap":
        """The main directions of vectors; where these are fewer than their dimensions, all that there are."""
        found = Directions.fit(vectors_BD, "", components=dimensions)
        return cls(mean_D=found.mean_D, matrix_DP=np.ascontiguousarray(found.components_KD.T))

    @property
    def dimensions(self) -> int:
        return int(self.matrix_DP.shape[1])

    def apply(self, vectors_BD: np.ndarray) -> np.ndarray:
        """(B, P) float32 of unit length."""
        return to_unit((vectors_BD - self.mean_D) @ self.matrix_DP)

    def save(self, file: Path) -> None:
        np.savez(file, mean=self.mean_D, matrix=self.matrix_DP)

    @classmethod
    def load(cls, file: Path) -> "VectorMap":
        with np.load(file) as kept:
            return cls(mean_D=kept["mean"], matrix_DP=kept["matrix"])


def to_unit(vectors_BP: np.ndarray, first: int | None = None) -> np.ndarray:
    """The vectors, or their ``first`` dimensions alone, of unit length; zero stays zero."""
    part_BP = vectors_BP[:, :first]
    lengths_B1 = np.sqrt((part_BP.astype(np.float64) ** 2).sum(axis=1, keepdims=True))
    return np.asarray(part_BP / np.maximum(lengths_B1, SMALLEST), np.float32)


def require_dimensions(asked: int, there: int) -> None:
    """Raises ConfigurationError where a map would have more dimensions than its vectors."""
    if asked > there:
        raise ConfigurationError(
            f"dimensions is {asked}, and the bundle's vectors have {there}", next_step=f"set dimensions to {there} or less"
        )
