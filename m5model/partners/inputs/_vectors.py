"""Vectors as inputs of an ensemble: the cosine of two, and their difference along the main directions of the space.

Tensor suffixes: B rows, D dimensions, K components.
"""

from pathlib import Path

import numpy as np

from m5model.partners.vectors import Vectors
from schemas.errors import ConfigurationError, SpaceMismatchError

COMPONENTS = 24


class Directions:
    """Mean and principal components of the vectors that were learned from."""

    def __init__(self, mean_D: np.ndarray, components_KD: np.ndarray, space_id: str) -> None:
        self.mean_D = mean_D
        self.components_KD = components_KD
        self.space_id = space_id

    @classmethod
    def fit(cls, vectors_BD: np.ndarray, space_id: str, components: int = COMPONENTS) -> "Directions":
        """From the vectors of different texts; the sign of a component is that of its largest entry."""
        mean_D = vectors_BD.mean(axis=0)
        centred_BD = (vectors_BD - mean_D).astype(np.float64)
        _, parts_KD = np.linalg.eigh(centred_BD.T @ centred_BD)
        chosen_KD = parts_KD.T[::-1][:components]
        largest = np.take_along_axis(chosen_KD, np.abs(chosen_KD).argmax(axis=1)[:, None], axis=1)
        return cls(mean_D, (chosen_KD * np.sign(largest)).astype(np.float32), space_id)

    def project(self, vectors_BD: np.ndarray) -> np.ndarray:
        """(B, K) float32."""
        return (vectors_BD - self.mean_D) @ self.components_KD.T

    def pair_names(self) -> tuple[str, ...]:
        return ("cosine", "distance", *(f"difference_{number}" for number in range(len(self.components_KD))))

    def pair_inputs(self, left_BD: np.ndarray, right_BD: np.ndarray) -> np.ndarray:
        """(B, 2 + K) float64 of pairs of vectors."""
        apart_BK = np.abs(self.project(left_BD) - self.project(right_BD))
        cosine_B1 = (left_BD * right_BD).sum(axis=1, keepdims=True)
        found = np.concatenate([cosine_B1, apart_BK.sum(axis=1, keepdims=True), apart_BK], axis=1)
        return found.astype(np.float64)

    def save(self, folder: Path) -> None:
        np.savez(folder / "directions.npz", mean=self.mean_D, components=self.components_KD, space=np.asarray(self.space_id))

    @classmethod
    def load(cls, folder: Path) -> "Directions | None":
        file = folder / "directions.npz"
        if not file.is_file():
            return None
        with np.load(file) as kept:
            return cls(kept["mean"], kept["components"], str(kept["space"]))


def require_space(vectors: Vectors | None, directions: Directions) -> Vectors:
    """Raises ConfigurationError where there are no vectors, SpaceMismatchError where they are of another space."""
    if vectors is None:
        raise ConfigurationError(
            "the model reads vectors, and there are none", next_step="give the bundle that it was fitted with"
        )
    if vectors.space_id != directions.space_id:
        raise SpaceMismatchError(
            f"the model reads vectors of the space {directions.space_id}, given are those of {vectors.space_id}",
            next_step="give the bundle that it was fitted with, or fit it again",
        )
    return vectors
