"""Says what strategies are given, and what they give: see m5model/partners/strategies.

A strategy is a module with SUMMARY, NEEDS, COSTS and GOOD_FOR (texts of ``m5 strategies``), SERVES (label kinds), USES_VECTORS,
TRAINS_ENCODER, perhaps DOES_WITHOUT (vectors), Settings (a dataclass), fit(given, settings) -> Fitted, and
load(folder) -> Fitted.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np

from m5model.partners.data import PartnerData
from m5model.partners.vectors import Vectors


@dataclass(frozen=True, kw_only=True)
class Given:
    """Holds what a strategy learns from. It looks at the splits learn and validate alone."""

    data: PartnerData
    vectors: Vectors | None  # None: without our vectors
    seed: int = 0
    threads: int = 1
    device: str = "auto"
    source: str = ""  # for strategies that train an encoder: a bundle's path, "starter" or a checkpoint to begin with
    scratch: Path | None = None  # a folder for checkpoints, kept until the experiment is done

    def without_vectors(self) -> "Given":
        return replace(self, vectors=None)

    def learn(self) -> np.ndarray:
        """Rows (k,) of the split learn."""
        return self.data.rows_of("learn")


@dataclass(frozen=True, kw_only=True)
class Scores:
    """Holds what a model says of rows (k)."""

    values: np.ndarray  # (k,) float64, more is more likely; or (k, c) of classes
    classes: tuple[str, ...] = ()  # of the columns of values
    predictions: np.ndarray | None = None  # (k,) text, where a value is predicted that is no class


class Fitted(Protocol):
    """A model that was fitted. Saved without pickles."""

    def scores(self, data: PartnerData, vectors: Vectors | None, rows: np.ndarray) -> Scores:
        """Scores of the rows (k,) of ``data``, which may be other data than was learned from."""
        ...

    def save(self, folder: Path) -> None: ...
