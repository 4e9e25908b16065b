"""Finds what changed listings mean to others, and others to them. Plain numpy, without Spark.

Both directions of one score: a listing that visits the cell of a changed one may have it as a neighbour; a changed one that
visits a listing's cell may have that. Shape suffixes: N vectors of a block, M changed ones, D dimensions, P probes, C cells.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from spark.neighbours.cells import LocaleCells
from spark.neighbours.locales import split_by_locale
from spark.neighbours.settings import NeighbourSettings
from spark.vectors.columns import Vectors, vectors_from_arrow
from spark.vectors.top_k import MICRO, best_columns

Whole = NDArray[np.int64]
Text = NDArray[np.object_]
Hits = tuple[Whole, Whole, Whole]  # row of the block, one of the sought, distance
# Scores that a product of matrices and its masks take as long for as one cell's own small product takes to begin.
SCORES_FOR_A_CELL = 5_000


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
    vectors_ND: NDArray[np.float64]
    visits_NP: Whole
    worst_N: Whole


def find_near(rows: Searched, sought: Sought, k: int, lowest: float) -> tuple[Hits, Hits]:
    """What the sought listings find among the rows, and which of them the rows find: both in the cells that each visits.

    Of the first, the nearest ``k`` for each; of the second, what is near enough to a row that is not sought itself.
    """
    cells = 1 + int(max(rows.visits_NP.max(initial=0), sought.visits_MP.max(initial=0)))
    if len(rows.ids) * len(sought.ids) <= SCORES_FOR_A_CELL * cells:
        return _find_in_all(rows, sought, k, lowest, cells)
    return _join(seek_by_cell(rows, sought, k, lowest)), _join(offer_by_cell(rows, sought, lowest))


def _find_in_all(rows: Searched, sought: Sought, k: int, lowest: float, cells: int) -> tuple[Hits, Hits]:
    """Scores of all pairs, of which those count whose cells meet."""
    scores_MN = sought.vectors_MD.astype(np.float64) @ rows.vectors_ND.T
    visits_MC, visits_NC = (_mark_visits(visits, cells) for visits in (sought.visits_MP, rows.visits_NP))
    seeks_MN = visits_MC[:, rows.visits_NP[:, 0]]
    own_M = _own_rows(rows, sought)
    seeks_MN[own_M >= 0, own_M[own_M >= 0]] = False  # a listing is no neighbour of its own
    columns_MK, micro_MK = best_columns(np.where(seeks_MN, scores_MN, -np.inf), k)
    seeker, column = np.nonzero(micro_MK >= lowest)
    seeking = columns_MK[seeker, column], seeker, -micro_MK[seeker, column].astype(np.int64)
    if not sought.offered:
        return seeking, _join(())
    # Few scores are near enough for a row; those alone are rounded and looked at closely.
    worst_N = np.maximum(lowest, -rows.worst_N.astype(np.float64))
    other, row = np.nonzero(scores_MN >= (worst_N - 1) / MICRO)
    micro_P = np.rint(np.minimum(scores_MN[other, row], 1.0) * MICRO)
    is_sought_N = np.zeros(len(rows.ids), bool)
    is_sought_N[own_M[own_M >= 0]] = True
    is_near_P = (micro_P >= worst_N[row]) & visits_NC[row, sought.visits_MP[other, 0]] & ~is_sought_N[row]
    return seeking, (row[is_near_P], other[is_near_P], -micro_P[is_near_P].astype(np.int64))


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
        scores = wide_MD[seekers] @ rows.vectors_ND[here].T
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
        micro = np.rint(np.minimum(rows.vectors_ND[here] @ wide_MD[offered].T, 1.0) * MICRO)
        row, other = np.nonzero((micro >= lowest) & (-micro <= rows.worst_N[here][:, None]))
        yield here[row], offered[other], -micro[row, other].astype(np.int64)


def _join(hits: "Iterator[Hits] | tuple[Hits, ...]") -> Hits:
    none = np.zeros(0, np.int64)
    rows, sought, distances = (np.concatenate(column) for column in zip((none, none, none), *hits, strict=True))
    return rows, sought, distances


def _rows_by_cell(cells_NP: Whole) -> dict[int, Whole]:
    """Positions of the rows that have the cell, ascending, by cell."""
    flat, width = cells_NP.ravel(), cells_NP.shape[1]
    order = np.argsort(flat, kind="stable")
    used, starts = np.unique(flat[order], return_index=True)
    return dict(zip(used.tolist(), np.split(order // width, starts[1:]), strict=True))
