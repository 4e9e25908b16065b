"""What becomes of kept lists of neighbours, against the plain definition of it. No Spark."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from spark.neighbours.cells import LocaleCells
from spark.neighbours.list_rows import HITS, ROWS, Gained, ListSizes, find_gone, follow_lists, keep_nearest, make_lists
from spark.neighbours.near_changes import Hits, Searched, Sought, find_near, offer_by_cell, seek_by_cell
from spark.vectors.columns import to_unit_length

SIZES = ListSizes(kept=5, seen=3)
Row = dict[str, Any]
Pair = tuple[int, str]


def draw_lists(rng: np.random.Generator, lists: int = 40) -> list[Row]:
    """Full lists, shorter ones that hold all there is, and shorter ones of which something was lost before."""
    rows = []
    for number in range(lists):
        found = sorted((int(rng.integers(-9, 0)), f"c{one}") for one in rng.choice(30, rng.integers(0, 6), replace=False))
        bound = [None, found[-1]][len(found) == SIZES.kept] if found else None
        if found and rng.random() < 0.3:
            bound = (found[-1][0] + 1, "c0")
        row = {"locale": "DE" if number % 2 else "FR", "item_id": f"i{number}", "changed_in": 0}
        rows.append(row | {"candidates": [as_candidate(pair) for pair in found], "bound": bound and as_candidate(bound)})
    return rows


def as_candidate(pair: Pair) -> Row:
    return {"distance": pair[0], "neighbour_item_id": pair[1]}


def as_pair(candidate: Row) -> Pair:
    return candidate["distance"], candidate["neighbour_item_id"]


def follow_plainly(row: Row, gone: set[tuple[str, str]], gained: list[Pair]) -> Row | None:
    """The list as it is now and whether it is short; None where it is what it was."""
    before, bound = [as_pair(one) for one in row["candidates"]], row["bound"] and as_pair(row["bound"])
    near = [pair for pair in gained if bound is None or pair <= bound]
    after = sorted([pair for pair in before if (row["locale"], pair[1]) not in gone] + near)
    if after == before:
        return None
    if len(after) > SIZES.kept:
        after = after[: SIZES.kept]
        bound = after[-1]
    seen = after[: SIZES.seen] != before[: SIZES.seen]
    return row | {
        "candidates": [as_candidate(pair) for pair in after],
        "bound": bound and as_candidate(bound),
        "changed_in": 7 if seen else 0,
        "is_short": bound is not None and len(after) < SIZES.seen,
    }


@pytest.mark.parametrize("seed", range(8))
def test_lists_lose_what_is_gone_and_gain_what_lies_within_their_bound(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows = draw_lists(rng)
    gone = {("DE" if one % 2 else "FR", f"c{one}") for one in rng.choice(30, 8, replace=False)}
    offers = [(int(rng.integers(len(rows))), (int(rng.integers(-9, 0)), f"n{one}")) for one in range(60)]
    gained = Gained(
        list_G=np.array([place for place, _ in offers]),
        distance_G=np.array([pair[0] for _, pair in offers]),
        ids_G=pa.array([pair[1] for _, pair in offers]),
    )
    lists = pa.Table.from_pylist(rows, ROWS)
    lost = find_gone(lists, pa.table({"locale": [key[0] for key in gone], "item_id": [key[1] for key in gone]}))
    followed = follow_lists(lists, lost, gained, SIZES, 7)
    wanted = {
        place: after
        for place, row in enumerate(rows)
        if (after := follow_plainly(row, gone, [pair for where, pair in offers if where == place]))
    }
    found = [row | {"is_short": bool(s)} for row, s in zip(followed.rows.to_pylist(), followed.is_short_T, strict=True)]
    assert dict(zip(followed.changed_T.tolist(), found, strict=True)) == wanted


def test_a_full_list_is_bounded_by_its_last_candidate_and_a_listing_without_any_has_an_empty_one() -> None:
    hits = [("DE", "b", -3, "x"), ("DE", "a", -1, "z"), ("DE", "b", -3, "w"), ("FR", "a", -2, "x"), ("DE", "b", -9, "y")]
    nearest = keep_nearest(pa.Table.from_pylist([dict(zip(HITS.names, hit, strict=True)) for hit in hits], HITS), 2)
    listings = pa.table({"locale": ["FR", "DE", "DE", "DE"], "item_id": ["a", "c", "b", "a"]})
    rows = make_lists(listings, nearest, 2, 4).to_pylist()
    assert [(row["locale"], row["item_id"], [as_pair(one) for one in row["candidates"]]) for row in rows] == [
        ("DE", "a", [(-1, "z")]),
        ("DE", "b", [(-9, "y"), (-3, "w")]),
        ("DE", "c", []),
        ("FR", "a", [(-2, "x")]),
    ]
    assert [row["bound"] and as_pair(row["bound"]) for row in rows] == [None, (-3, "w"), None, None]


@pytest.mark.parametrize("scores", [100, 4_000_000])  # looked at together
def test_all_scores_at_once_and_cell_by_cell_find_the_same(scores: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("spark.vectors.top_k.SCORES_PER_BLOCK", scores)
    rng = np.random.default_rng(3)
    vectors = to_unit_length(rng.normal(size=(130, 8))).astype(np.float32)
    vectors[100:110] = vectors[:10]
    cells = LocaleCells(centroids_CD=vectors[:7], index_slices_C=np.ones(7, int), query_slices_C=np.ones(7, int))
    visits, ids = cells.visits(vectors, 3), np.array([f"{one:03}" for one in range(130)], object)
    worst = rng.integers(-900_000, 0, size=120)
    rows = Searched(ids=ids[:120], vectors_ND=vectors[:120], worst_N=worst, cells=cells, probes=3)
    sought = Sought(ids=ids[90:], vectors_MD=vectors[90:], visits_MP=visits[90:], offered=True)
    together = find_near(rows, sought, 200, -400_000)
    apart = [list(hits) for hits in (seek_by_cell(rows, sought, 200, -400_000), offer_by_cell(rows, sought, -400_000))]
    assert [_as_set([one]) for one in together] == [_as_set(parts) for parts in apart]
    assert all(len(_as_set(parts)) > 50 for parts in apart)
    nearest: dict[int, list[tuple[int, int]]] = {}
    for row, seeker, distance in _as_set(apart[0]):
        nearest.setdefault(seeker, []).append((distance, row))
    few, _ = find_near(rows, sought, 4, -400_000)
    assert _as_set([few]) == {(row, seeker, far) for seeker, pairs in nearest.items() for far, row in sorted(pairs)[:4]}


def test_the_cell_that_a_vector_lies_in_is_the_first_that_it_visits() -> None:
    vectors = to_unit_length(np.random.default_rng(4).normal(size=(900, 5))).astype(np.float32)
    centroids = np.concatenate([vectors[:20], vectors[:3]])  # some are equal
    cells = LocaleCells(centroids_CD=centroids, index_slices_C=np.ones(23, int), query_slices_C=np.ones(23, int))
    assert cells.lying_in(vectors).tolist() == cells.visits(vectors, 4)[:, 0].tolist()


def _as_set(parts: list[Hits]) -> set[tuple[int, ...]]:
    return {pair for hits in parts for pair in zip(*(column.tolist() for column in hits), strict=True)}
