"""How neighbours are searched for."""

import math
from dataclasses import dataclass

from schemas.checks import is_number, is_whole, require


@dataclass(frozen=True, kw_only=True)
class NeighbourSettings:
    """Settings of one neighbour search; raises ``ConfigurationError`` naming all that are wrong."""

    k: int = 10  # neighbours per listing
    min_cosine: float = -1.0  # neighbours below this similarity are left out
    probes: int = 8  # cells that a listing visits
    cells: int | None = None  # cells per locale; None: the square root of its rows, see cells_for
    max_cells: int = 4096  # cells per locale; bounds the centroids that every task carries
    exact_below: int = 2_000  # rows; a smaller locale is one cell, hence searched exactly
    sample_per_cell: int = 40  # rows; k-means wants about 39 points a centroid (faiss), and 40 x 4096 x 384 x 4 B = 250 MB
    iterations: int = 10  # of k-means
    block_rows: int = 20_000  # rows of one side of a block; a cell beyond that is split
    seed: int = 0

    def __post_init__(self) -> None:
        counts = ("k", "probes", "max_cells", "exact_below", "sample_per_cell", "iterations", "block_rows")
        rules = {
            f"{name} must be a whole number of at least 1, is {getattr(self, name)!r}": is_whole(getattr(self, name), 1)
            for name in counts
        }
        rules |= {
            f"min_cosine must be between -1 and 1, is {self.min_cosine!r}": is_number(self.min_cosine, -1, 1),
            f"cells must be at least 1 or None, is {self.cells!r}": self.cells is None or is_whole(self.cells, 1),
            f"seed must be a whole number of at least 0, is {self.seed!r}": is_whole(self.seed),
        }
        require("NeighbourSettings", rules)

    def cells_for(self, rows: int) -> int:
        """Number of cells of a locale of ``rows`` rows."""
        if self.cells is not None:
            return min(self.cells, rows)
        return 1 if rows <= self.exact_below else min(self.max_cells, round(math.sqrt(rows)))
