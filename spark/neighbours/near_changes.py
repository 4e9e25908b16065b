"""Finds, in one pass over all vectors, what changed listings mean to the others, and the others to them.

Both directions of one score: a listing that visits the cell of a changed one may have it as a neighbour; a changed one that
visits a listing's cell may have that. Shape suffixes: N vectors of a batch, M changed ones, D dimensions, P probes.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql import DataFrame

from spark.neighbours.cells import LocaleCells
from spark.neighbours.locales import split_by_locale
from spark.neighbours.search import CANDIDATES, FOUND, merge_candidates
from spark.neighbours.settings import NeighbourSettings
from spark.vectors.columns import Vectors, vectors_from_arrow
from spark.vectors.top_k import MICRO, best_columns

Batches = Iterator[pa.RecordBatch]
Whole = NDArray[np.int64]
Text = NDArray[np.object_]
Hits = tuple[Text, Text, Whole]  # who has a candidate, the candidate, its distance


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


def search_near(
    vectors: DataFrame, sought: Mapping[str, Sought], cells: Mapping[str, LocaleCells], settings: NeighbourSettings
) -> DataFrame:
    """Locale, item_id, candidates: of those that are sought, all their neighbours; of other listings, the offered ones.

    ``vectors`` holds locale, item_id, vector of every listing, and ``worst``, the greatest distance at which an offered one
    matters to it. The sought travel in the function.
    """
    chosen = vectors.select("locale", "item_id", "vector", "worst")
    found = chosen.mapInArrow(_searcher(dict(sought), dict(cells), settings), FOUND)
    return merge_candidates(found, settings.k)


def _searcher(
    sought: dict[str, Sought], cells: dict[str, LocaleCells], settings: NeighbourSettings
) -> Callable[[Batches], Batches]:
    lowest = float(np.rint(settings.min_cosine * MICRO))

    def search(batches: Batches) -> Batches:
        for batch in batches:
            for locale, part in split_by_locale(batch):
                if locale in sought:
                    yield from search_locale(locale, part.sort_by("item_id"))  # so that equal distances come in order of ids

    def search_locale(locale: str, part: pa.RecordBatch) -> Batches:
        vectors_ND, ids = vectors_from_arrow(part["vector"]), np.array(part["item_id"].to_pylist(), object)
        rows = Searched(
            ids=ids,
            vectors_ND=vectors_ND.astype(np.float64),
            visits_NP=cells[locale].visits(vectors_ND, settings.probes),
            worst_N=part["worst"].to_numpy(),
        )
        hits = [*seek(rows, sought[locale], settings.k, lowest), *offer(rows, sought[locale], lowest)]
        if hits:
            owners, others, distances = (np.concatenate(column) for column in zip(*hits, strict=True))
            yield _candidates_of(locale, owners, others, distances, settings.k)

    return search


@dataclass(frozen=True, kw_only=True)
class Searched:
    """Listings of one locale in ascending order of their ids."""

    ids: Text
    vectors_ND: NDArray[np.float64]
    visits_NP: Whole
    worst_N: Whole


def seek(rows: Searched, sought: Sought, k: int, lowest: float) -> Iterator[Hits]:
    """The nearest ``k`` rows in each cell that a sought listing visits."""
    lying = _rows_by_cell(rows.visits_NP[:, :1])
    wide_MD = sought.vectors_MD.astype(np.float64)
    place = {item: position for position, item in enumerate(rows.ids.tolist())}
    own_M = np.array([place.get(item, -1) for item in sought.ids.tolist()], np.int64)
    for cell in np.unique(sought.visits_MP).tolist():
        if cell not in lying:
            continue
        here, seekers = lying[cell], sought.visiting(cell)
        scores = wide_MD[seekers] @ rows.vectors_ND[here].T
        scores[own_M[seekers][:, None] == here] = -np.inf  # a listing is no neighbour of its own
        columns, micro = best_columns(scores, k)
        seeker, column = np.nonzero(micro >= lowest)
        yield sought.ids[seekers[seeker]], rows.ids[here[columns[seeker, column]]], -micro[seeker, column].astype(np.int64)


def offer(rows: Searched, sought: Sought, lowest: float) -> Iterator[Hits]:
    """The offered listings that are near enough to rows which visit their cell; those sought seek for themselves."""
    if not sought.offered:
        return
    visiting, is_sought_N = _rows_by_cell(rows.visits_NP), np.isin(rows.ids, sought.ids)
    wide_MD = sought.vectors_MD.astype(np.float64)
    for cell in np.unique(sought.visits_MP[:, 0]).tolist():
        if cell not in visiting:
            continue
        here, offered = visiting[cell][~is_sought_N[visiting[cell]]], sought.in_cell(cell)
        micro = np.rint(np.minimum(rows.vectors_ND[here] @ wide_MD[offered].T, 1.0) * MICRO)
        row, other = np.nonzero((micro >= lowest) & (-micro <= rows.worst_N[here][:, None]))
        yield rows.ids[here[row]], sought.ids[offered[other]], -micro[row, other].astype(np.int64)


def _rows_by_cell(cells_NP: Whole) -> dict[int, Whole]:
    """Positions of the rows that have the cell, ascending, by cell."""
    flat, width = cells_NP.ravel(), cells_NP.shape[1]
    order = np.argsort(flat, kind="stable")
    used, starts = np.unique(flat[order], return_index=True)
    return dict(zip(used.tolist(), np.split(order // width, starts[1:]), strict=True))


def _candidates_of(locale: str, owners: Text, others: Text, distances: Whole, k: int) -> pa.RecordBatch:
    """The nearest ``k`` candidates of each owner."""
    lists: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for owner, other, distance in zip(owners.tolist(), others.tolist(), distances.tolist(), strict=True):
        lists[owner].append((distance, other))
    return lists_to_arrow(locale, {owner: sorted(found)[:k] for owner, found in lists.items()})


def lists_to_arrow(locale: str, lists: Mapping[str, Sequence[tuple[int, str]]]) -> pa.RecordBatch:
    """Rows of FOUND."""
    structs = [[{"distance": distance, "neighbour_item_id": other} for distance, other in found] for found in lists.values()]
    columns = {"locale": pa.array([locale] * len(lists), pa.string()), "item_id": pa.array(list(lists), pa.string())}
    return pa.RecordBatch.from_pydict(columns | {"candidates": pa.array(structs, CANDIDATES)})
