"""Finds what changed listings mean to others, and others to them. Plain numpy, without Spark.

Both directions of one score: a listing that visits the cell of a changed one may have it as a neighbour; a changed one that
visits a listing's cell may have that. Shape suffixes: N vectors of a block, M changed ones, D dimensions, P probes, C cells.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from spark.neighbours.cells import LocaleCells
from spark.neighbours.locales import split_by_locale
from spark.neighbours.settings import NeighbourSettings
from spark.vectors.columns import Vectors, vectors_from_arrow
from spark.vectors.top_k import CLEAR, MICRO, Scores, best_columns, row_blocks, score_pairs

Whole = NDArray[np.int64]
Text = NDArray[np.object_]
Hits = tuple[Whole, Whole, Whole]  # row of the block, one of the sought, distance
Exact = Callable[[Whole, Whole], Scores]  # float64 scores of pairs
# To look at all pairs takes as long as to find the cells that each row visits, and then at each cell alone, where a row has one
# and a half times as many of the sought as there are cells, and as many more as are had while a cell's products begin.
CELLS_OF_A_ROW, ROWS_FOR_A_CELL = 1.5, 14_000


@dataclass(frozen=True, kw_only=True)
class Sought:
    """Listings of one locale that seek neighbours and, where ``offered``, that others may have found by now."""

    ids: Text
    vectors_MD: Vectors
    visits_MP: Whole  # cells, the one that it lies in first
    offered: bool

    def in_cell(self, cell: int) -> Whole:
        """Positions of those that lie in the cell."""
        return np.flatnonzero(self.visits_MP[:, 0] == cell)

    def visiting(self, cell: int) -> Whole:
        return np.flatnonzero((self.visits_MP == cell).any(axis=1))


def place_sought(
    rows: pa.Table, cells: Mapping[str, LocaleCells], settings: NeighbourSettings, *, offered: bool
) -> dict[str, Sought]:
    """By locale: ``rows`` (locale, item_id, vector), placed in the cells."""
    placed = {}
    for locale, part in split_by_locale(rows):
        vectors = vectors_from_arrow(part["vector"].combine_chunks())
        ids = np.array(part["item_id"].to_pylist(), object)
        visits = cells[locale].visits(vectors, settings.probes)
        placed[locale] = Sought(ids=ids, vectors_MD=vectors, visits_MP=visits, offered=offered)
    return placed


@dataclass(frozen=True, kw_only=True)
class Searched:
    """Listings of one locale in ascending order of their ids."""

    ids: Text
    vectors_ND: Vectors
    worst_N: Whole
    cells: LocaleCells
    probes: int  # cells that a listing visits

    @cached_property
    def wide_ND(self) -> Scores:
        return self.vectors_ND.astype(np.float64)

    @cached_property
    def visits_NP(self) -> Whole:
        return self.cells.visits(self.vectors_ND, self.probes)

    def visit(self, rows_P: Whole, cell_P: Whole) -> NDArray[np.bool_]:
        """Which of the rows visit the cell that is given for each."""
        distinct, place_P = np.unique(rows_P, return_inverse=True)
        visits_RP = self.cells.visits(self.vectors_ND[distinct], self.probes)
        found: NDArray[np.bool_] = (visits_RP[place_P] == cell_P[:, None]).any(axis=1)
        return found


def find_near(rows: Searched, sought: Sought, k: int, lowest: float) -> tuple[Hits, Hits]:
    """What the sought listings find among the rows, and which of them the rows find: both in the cells that each visits.

    Of the first, the nearest ``k`` for each; of the second, what is near enough to a row that is not sought itself.
    """
    if len(rows.ids) * len(sought.ids) <= rows.cells.count * (CELLS_OF_A_ROW * len(rows.ids) + ROWS_FOR_A_CELL):
        return _find_in_all(rows, sought, k, lowest)
    return _join(seek_by_cell(rows, sought, k, lowest)), _join(offer_by_cell(rows, sought, lowest))


def _find_in_all(rows: Searched, sought: Sought, k: int, lowest: float) -> tuple[Hits, Hits]:
    """Rough scores of all pairs; those that may count are worked out exactly, and their cells looked at."""
    lying_N, own_M = rows.cells.lying_in(rows.vectors_ND), _own_rows(rows, sought)
    sought_in_MC = _mark_visits(sought.visits_MP, rows.cells.count)
    wide_MD, is_sought_N = sought.vectors_MD.astype(np.float64), _is_sought(rows, sought)
    seeking, offering = [], []
    for block in row_blocks(len(sought.ids), len(rows.ids)):
        rough_BN, first = sought.vectors_MD[block] @ rows.vectors_ND.T, block.start
        exact = partial(score_pairs, wide_MD[block], rows.wide_ND)
        if sought.offered:
            other, row, distance = _near_enough(rough_BN, exact, rows, lowest)
            meets = ~is_sought_N[row] & rows.visit(row, sought.visits_MP[first + other, 0])
            offering.append((row[meets], first + other[meets], distance[meets]))
        seeks_BN, own_B = sought_in_MC[block][:, lying_N], own_M[block]
        seeks_BN[own_B >= 0, own_B[own_B >= 0]] = False  # a listing is no neighbour of its own
        seeker, column, distance = _nearest(rough_BN, seeks_BN, exact, k, lowest)
        seeking.append((column, first + seeker, distance))
    return _join(seeking), _join(offering)


def _near_enough(rough_BN: Vectors, exact: Exact, rows: Searched, lowest: float) -> Hits:
    """Of the sought, the row and the distance: pairs at most as far apart as the row's worst."""
    least_N = np.maximum(lowest, -rows.worst_N.astype(np.float64))
    other_P, row_P = np.nonzero(rough_BN >= (least_N / MICRO - CLEAR).astype(np.float32))
    micro_P = _to_micro(exact(other_P, row_P))
    is_near_P = micro_P >= least_N[row_P]
    return other_P[is_near_P], row_P[is_near_P], -micro_P[is_near_P].astype(np.int64)


def _nearest(rough_BN: Vectors, seeks_BN: NDArray[np.bool_], exact: Exact, k: int, lowest: float) -> Hits:
    """The sought, and the row and the distance of its nearest ``k`` among the rows that it seeks."""
    seeker_P, row_P = np.nonzero(seeks_BN)  # in the order of the seekers
    rough_P = rough_BN[seeker_P, row_P]
    falling_P = rough_P[np.lexsort((-rough_P, seeker_P))]
    behind_P = np.searchsorted(seeker_P, seeker_P, "right")
    last_P = np.minimum(np.searchsorted(seeker_P, seeker_P) + k, behind_P) - 1
    may_be = rough_P >= falling_P[last_P] - CLEAR
    seeker_P, row_P = seeker_P[may_be], row_P[may_be]
    micro_P = _to_micro(exact(seeker_P, row_P))
    order_P = np.lexsort((row_P, -micro_P, seeker_P))
    rank_P = np.arange(len(order_P)) - np.searchsorted(seeker_P, seeker_P)
    best = order_P[(rank_P < k) & (micro_P[order_P] >= lowest)]
    return seeker_P[best], row_P[best], -micro_P[best].astype(np.int64)


def _to_micro(scores_P: Scores) -> Scores:
    micro_P: Scores = np.rint(np.minimum(scores_P, 1.0) * MICRO)
    return micro_P


def _mark_visits(visits_NP: Whole, cells: int) -> NDArray[np.bool_]:
    marked = np.zeros((len(visits_NP), cells), bool)
    np.put_along_axis(marked, visits_NP, True, axis=1)
    return marked


def _own_rows(rows: Searched, sought: Sought) -> Whole:
    """Where each of the sought lies among the rows, -1 where it does not."""
    place = {item: position for position, item in enumerate(rows.ids.tolist())}
    return np.array([place.get(item, -1) for item in sought.ids.tolist()], np.int64)


def _is_sought(rows: Searched, sought: Sought) -> NDArray[np.bool_]:
    marked = np.zeros(len(rows.ids), bool)
    own = _own_rows(rows, sought)
    marked[own[own >= 0]] = True
    return marked


def seek_by_cell(rows: Searched, sought: Sought, k: int, lowest: float) -> Iterator[Hits]:
    """The nearest ``k`` rows in each cell that a sought listing visits."""
    lying = _rows_by_cell(rows.visits_NP[:, :1])
    wide_MD = sought.vectors_MD.astype(np.float64)
    own_M = _own_rows(rows, sought)
    for cell in np.unique(sought.visits_MP).tolist():
        if cell not in lying:
            continue
        here, seekers = lying[cell], sought.visiting(cell)
        scores = wide_MD[seekers] @ rows.wide_ND[here].T
        scores[own_M[seekers][:, None] == here] = -np.inf  # a listing is no neighbour of its own
        columns, micro = best_columns(scores, k)
        seeker, column = np.nonzero(micro >= lowest)
        yield here[columns[seeker, column]], seekers[seeker], -micro[seeker, column].astype(np.int64)


def offer_by_cell(rows: Searched, sought: Sought, lowest: float) -> Iterator[Hits]:
    """The offered listings that are near enough to rows which visit their cell; those sought seek for themselves."""
    if not sought.offered:
        return
    visiting, is_sought_N = _rows_by_cell(rows.visits_NP), _is_sought(rows, sought)
    wide_MD = sought.vectors_MD.astype(np.float64)
    for cell in np.unique(sought.visits_MP[:, 0]).tolist():
        if cell not in visiting:
            continue
        here, offered = visiting[cell][~is_sought_N[visiting[cell]]], sought.in_cell(cell)
        micro = np.rint(np.minimum(rows.wide_ND[here] @ wide_MD[offered].T, 1.0) * MICRO)
        row, other = np.nonzero((micro >= lowest) & (-micro <= rows.worst_N[here][:, None]))
        yield here[row], offered[other], -micro[row, other].astype(np.int64)


def _join(hits: Iterable[Hits]) -> Hits:
    none = np.zeros(0, np.int64)
    rows, sought, distances = (np.concatenate(column) for column in zip((none, none, none), *hits, strict=True))
    return rows, sought, distances


def _rows_by_cell(cells_NP: Whole) -> dict[int, Whole]:
    """Positions of the rows that have the cell, ascending, by cell."""
    flat, width = cells_NP.ravel(), cells_NP.shape[1]
    order = np.argsort(flat, kind="stable")
    used, starts = np.unique(flat[order], return_index=True)
    return dict(zip(used.tolist(), np.split(order // width, starts[1:]), strict=True))
