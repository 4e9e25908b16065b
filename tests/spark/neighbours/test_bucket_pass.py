"""Kept lists that follow changed vectors, bucket by bucket, hold what searching everything anew finds. No Spark."""

from collections.abc import Mapping
from dataclasses import replace
from functools import reduce
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from spark.delta.data_files import DataFile
from spark.delta.data_rows import WrittenFile, join_keys, read_rows, write_rows
from spark.neighbours.bucket_pass import VECTORS, Bucket, Found, Pass, look_at_bucket
from spark.neighbours.cells import LocaleCells
from spark.neighbours.list_rows import HITS, ROWS, ListSizes, make_lists
from spark.neighbours.near_changes import place_sought
from spark.neighbours.settings import NeighbourSettings
from spark.vectors.columns import to_unit_length
from spark.vectors.top_k import best_columns

SIZES = ListSizes(kept=5, seen=3)
SETTINGS = NeighbourSettings(k=SIZES.kept, min_cosine=-0.2)
ONE_CELL = LocaleCells(centroids_CD=None, index_slices_C=np.ones(1, int), query_slices_C=np.ones(1, int))
BUCKETS = ("0", "1")
Vectors = Mapping[str, np.ndarray]
Lists = dict[str, list[tuple[int, str]]]


def draw(rng: np.random.Generator, ids: list[str]) -> dict[str, np.ndarray]:
    """A few directions, so that some vectors are equal."""
    centres = to_unit_length(rng.normal(size=(12, 4))).astype(np.float32)
    return {item: centres[rng.integers(12)] if rng.random() < 0.3 else unit(rng) for item in ids}


def unit(rng: np.random.Generator) -> np.ndarray:
    return to_unit_length(rng.normal(size=(1, 4))).astype(np.float32)[0]


def search(vectors: Vectors) -> Lists:
    """Every listing with its nearest others, by definition."""
    ids = sorted(vectors)
    wide = np.stack([vectors[item] for item in ids]).astype(np.float64)
    scores = wide @ wide.T
    np.fill_diagonal(scores, -np.inf)
    columns, micro = best_columns(scores, SIZES.kept)
    found = {item: zip(row, near, strict=True) for item, row, near in zip(ids, columns, micro, strict=True)}
    return {item: [(int(-m), ids[c]) for c, m in pairs if m >= -200_000] for item, pairs in found.items()}


def as_rows(lists: Lists) -> pa.Table:
    keys = pa.table({"locale": ["DE"] * len(lists), "item_id": sorted(lists)})
    hits = [("DE", item, distance, other) for item in sorted(lists) for distance, other in lists[item]]
    table = pa.Table.from_pylist([dict(zip(HITS.names, hit, strict=True)) for hit in hits], HITS)
    return make_lists(keys, table, SIZES.kept, 0)


def as_vectors(vectors: Vectors, ids: list[str]) -> pa.Table:
    rows = [{"locale": "DE", "item_id": item, "space_id": "s", "vector": vectors[item].tolist()} for item in ids]
    return pa.Table.from_pylist(rows, VECTORS)


def as_files(folder: Path, rows: pa.Table, bucket: str) -> tuple[DataFile, ...]:
    written = write_rows(str(folder), f"bucket={bucket}/", rows)
    return (as_file(written, bucket),) if written else ()


def as_file(written: WrittenFile, bucket: str) -> DataFile:
    return DataFile(path=written.path, partition={"bucket": bucket}, size=written.size, modified=0, stats={})


def bucket_of(item: str) -> str:
    return BUCKETS[int(item[1:]) % 2]


@pytest.mark.parametrize("seed", range(6))
def test_lists_that_follow_are_those_of_a_new_search(tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    before = draw(rng, [f"i{number:02}" for number in range(60)])
    gone, moved = [f"i{number:02}" for number in range(8)], [f"i{number:02}" for number in range(8, 20)]
    now = {item: vector for item, vector in before.items() if item not in gone}
    now |= draw(rng, [*moved, *(f"i{number}" for number in range(60, 68))])
    lists, new = search(before), [item for item in now if item in moved or item not in before]
    buckets = []
    for name in BUCKETS:
        mine = {item: found for item, found in lists.items() if bucket_of(item) == name}
        vectors = as_vectors(now, sorted(item for item in now if bucket_of(item) == name))
        stray = pa.Table.from_pylist([{"locale": "DE", "item_id": "stray", "space_id": "s", "vector": [1, 0, 0, 0]}], VECTORS)
        buckets.append(
            Bucket(
                bucket=name,
                lists=as_files(tmp_path / "lists", as_rows(mine), name),
                vectors=as_files(tmp_path / "vectors", pa.concat_tables([vectors, stray]), name),
            )
        )
    changed = as_vectors(now, new)
    cells = {"DE": ONE_CELL}
    first = Pass(
        lists_path=str(tmp_path / "lists"),
        vectors_path=str(tmp_path / "vectors"),
        space_id="s",
        cells=cells,
        settings=SETTINGS,
        sizes=SIZES,
        gone=pa.table({"locale": ["DE"] * 20, "item_id": [*gone, *moved]}),
        new=join_keys(changed),
        sought=place_sought(changed, cells, SETTINGS, offered=True),
        writes="m5-",
        version=1,
    )
    found = reduce(Found.plus, [look_at_bucket(bucket, first) for bucket in buckets])
    assert found.matched == found.expected["DE"] + len(new) == len(now)
    again = replace(first, sought=place_sought(found.short, cells, SETTINGS, offered=False), writes="")
    searched = reduce(Found.plus, [look_at_bucket(bucket, again) for bucket in buckets])
    written = [(one.written, one.bucket) for one in found.lists if one.written]
    followed = [rows for file, name in written for rows in read_rows(str(tmp_path / "lists"), as_file(file, name), ROWS)]
    parts = [*followed, make_lists(changed, found.hits, SIZES.kept, 1), make_lists(found.short, searched.hits, SIZES.kept, 1)]
    rows = pa.concat_tables(parts).to_pylist()
    seen = {row["item_id"]: [(c["distance"], c["neighbour_item_id"]) for c in row["candidates"]][: SIZES.seen] for row in rows}
    assert seen == {item: found[: SIZES.seen] for item, found in search(now).items()}
    moved_on = {row["item_id"] for row in rows if row["changed_in"] == 1}
    assert moved_on >= {item for item in now if item in new or seen[item] != lists[item][: SIZES.seen]}
