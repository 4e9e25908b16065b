"""The cells of one locale, and the blocks of bounded size that they are cut into. Plain numpy, without Spark.

Shape suffixes: N vectors, D dimensions, C cells, P probes.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from spark.neighbours.kmeans import nearest_cell, nearest_cells
from spark.vectors.columns import Vectors

Side = Literal["index", "query"]
Counts = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class LocaleCells:
    """Cells, each cut into index_slices x query_slices blocks; blocks are numbered through, cell after cell."""

    centroids_CD: Vectors | None  # None: one cell, which needs no centroid
    index_slices_C: Counts
    query_slices_C: Counts

    def blocks_of(self, vectors_ND: Vectors, hash_N: Counts, side: Side, probes: int) -> tuple[Counts, Counts]:
        """The blocks that each vector belongs to: how many, and the numbers of all of them, vector after vector.

        ``hash_N`` picks the slice of a split cell. A slice of one side meets every slice of the other, so a vector is in
        as many blocks of a cell as the other side has slices.
        """
        cells_NP = self.visits(vectors_ND, 1 if side == "index" else probes)
        mine_C, others_C = (
            (self.index_slices_C, self.query_slices_C) if side == "index" else (self.query_slices_C, self.index_slices_C)
        )
        copies_NP = others_C[cells_NP]
        cell, slot = (np.repeat(x.ravel(), copies_NP.ravel()) for x in (cells_NP, hash_N[:, None] % mine_C[cells_NP]))
        other = _count_up(copies_NP.ravel())
        index_slot, query_slot = (slot, other) if side == "index" else (other, slot)
        return copies_NP.sum(axis=1), self._first_block_C[cell] + index_slot * self.query_slices_C[cell] + query_slot

    @property
    def _first_block_C(self) -> Counts:
        blocks_C = self.index_slices_C * self.query_slices_C
        return np.cumsum(blocks_C) - blocks_C

    @property
    def count(self) -> int:
        return len(self.index_slices_C)

    def lying_in(self, vectors_ND: Vectors) -> Counts:
        """``cell_N``: the cell that each vector lies in, the first of those that it visits."""
        if self.centroids_CD is None:
            return np.zeros(len(vectors_ND), np.int64)
        return nearest_cell(vectors_ND, self.centroids_CD)

    def visits(self, vectors_ND: Vectors, probes: int) -> Counts:
        """``cells_NP``: the nearest cells of each vector, nearest first; it lies in the first."""
        if self.centroids_CD is None:
            return np.zeros((len(vectors_ND), 1), np.int64)
        return nearest_cells(vectors_ND, self.centroids_CD, probes)


def _count_up(lengths: Counts) -> Counts:
    """0, 1, ... up to each length: [2, 3] → [0, 1, 0, 1, 2]."""
    return np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
