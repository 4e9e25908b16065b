"""Neighbour search: what it finds against brute force, and that partitioning cannot change it."""

import numpy as np
import pytest
from pyspark.sql import DataFrame, SparkSession

from schemas.errors import ConfigurationError, SpaceMismatchError
from schemas.space import ComparableSpaces, SameSpace
from spark.neighbours import NeighbourSettings, find_neighbours, measure_space
from spark.neighbours.cells import LocaleCells
from spark.neighbours.kmeans import train_centroids
from spark.vectors.columns import to_unit_length
from spark.vectors.top_k import best_columns

SCHEMA = "locale string, item_id string, space_id string, vector array<float>"
Row = tuple[str, str, str, list[float]]


def clustered(rows: int, clusters: int, seed: int, dimensions: int = 32) -> np.ndarray:
    """Unit vectors around ``clusters`` random directions."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(clusters, dimensions))
    vectors = centres[rng.integers(clusters, size=rows)] + 0.6 * rng.normal(size=(rows, dimensions))
    return to_unit_length(vectors).astype(np.float32)


def rows_of(vectors: np.ndarray, locale: str = "DE", space: str = "space-a") -> list[Row]:
    return [(locale, f"{i:05d}", space, vector.tolist()) for i, vector in enumerate(vectors)]


def frame(spark: SparkSession, rows: list[Row], partitions: int = 2) -> DataFrame:
    return spark.createDataFrame(rows, SCHEMA).repartition(partitions)


def brute_force(vectors: np.ndarray, k: int) -> set[tuple[str, str]]:
    scores = vectors.astype(np.float64) @ vectors.astype(np.float64).T
    np.fill_diagonal(scores, -np.inf)
    columns, _ = best_columns(scores, k)
    return {(f"{i:05d}", f"{j:05d}") for i, row in enumerate(columns) for j in row}


def pairs(found: DataFrame) -> set[tuple[str, str]]:
    return {(row.item_id, row.neighbour_item_id) for row in found.collect()}


def test_probing_some_of_the_cells_finds_nine_of_ten_true_neighbours(spark: SparkSession) -> None:
    vectors = clustered(3_000, 60, seed=1)
    found = pairs(find_neighbours(frame(spark, rows_of(vectors)), NeighbourSettings(exact_below=100, probes=8)))
    true = brute_force(vectors, 10)
    assert len(found) == 30_000
    assert len(found & true) / len(true) >= 0.9


def test_probing_all_cells_is_exact_even_where_cells_are_split_into_many_blocks(spark: SparkSession) -> None:
    vectors = clustered(400, 5, seed=2)
    settings = NeighbourSettings(k=5, cells=6, probes=6, block_rows=30)
    assert pairs(find_neighbours(frame(spark, rows_of(vectors)), settings)) == brute_force(vectors, 5)


def test_the_result_does_not_depend_on_how_the_rows_are_partitioned(spark: SparkSession) -> None:
    vectors = np.repeat(clustered(150, 10, seed=3), 2, axis=0)  # every vector twice, so that ties abound
    settings = NeighbourSettings(k=4, cells=9, probes=2, block_rows=50)
    few, many = (
        sorted(map(tuple, find_neighbours(frame(spark, rows, n), settings).collect()))
        for rows, n in ((rows_of(vectors), 1), (rows_of(vectors)[::-1], 7))
    )
    assert few == many


def test_neighbours_are_ranked_by_cosine_then_by_id_within_their_locale_and_never_the_listing_itself(
    spark: SparkSession,
) -> None:
    rows = [
        ("DE", "a", "s", [1.0, 0.0]),
        ("DE", "c", "s", [0.8, 0.6]),
        ("DE", "b", "s", [0.8, 0.6]),
        ("FR", "d", "s", [1.0, 0.0]),
        ("FR", "e", "s", [0.0, 1.0]),
    ]
    found = find_neighbours(frame(spark, rows), NeighbourSettings(k=2, min_cosine=0.5)).orderBy("item_id", "rank")
    assert [tuple(row) for row in found.collect()] == [
        ("DE", "a", "b", 0.8, 1),
        ("DE", "a", "c", 0.8, 2),
        ("DE", "b", "c", 1.0, 1),
        ("DE", "b", "a", 0.8, 2),
        ("DE", "c", "b", 1.0, 1),
        ("DE", "c", "a", 0.8, 2),
    ]


def test_vectors_of_two_spaces_are_refused_by_an_error_that_names_both(spark: SparkSession) -> None:
    mixed = frame(spark, [("DE", "a", "space-a", [1.0]), ("DE", "b", "space-b", [1.0])])
    with pytest.raises(SpaceMismatchError, match="space-a and space-b"):
        find_neighbours(mixed, NeighbourSettings())
    evidence = ComparableSpaces.of([("space-b", (SameSpace(bundle="large", space_id="space-a"),))])
    assert measure_space(mixed, evidence).by_locale == {"DE": 2}


def test_no_embeddings_have_no_neighbours(spark: SparkSession) -> None:
    assert find_neighbours(spark.createDataFrame([], SCHEMA), NeighbourSettings()).collect() == []


def test_settings_name_all_their_errors_at_once() -> None:
    with pytest.raises(
        ConfigurationError, match=r"k must be a whole number of at least 1, is 0; .*min_cosine must be .*, is 2"
    ):
        NeighbourSettings(k=0, min_cosine=2)


def test_large_partitions_get_a_root_of_their_rows_in_cells_and_small_ones_a_single_cell() -> None:
    settings = NeighbourSettings()
    assert [settings.cells_for(rows) for rows in (2_000, 10_000, 10**12)] == [1, 100, 4_096]


def test_every_slice_of_the_index_meets_every_slice_of_the_queries_in_one_block() -> None:
    cells = LocaleCells(centroids_CD=None, index_slices_C=np.array([3]), query_slices_C=np.array([2]))
    vectors = np.ones((6, 2), np.float32)
    stored = np.split(*_placed(cells, vectors, "index"))
    asked = np.split(*_placed(cells, vectors, "query"))
    assert [[len(set(i) & set(q)) for q in asked] for i in stored] == [[1] * 6] * 6
    assert set(np.concatenate(stored)) == set(range(6))


def _placed(cells: LocaleCells, vectors: np.ndarray, side: str) -> tuple[np.ndarray, np.ndarray]:
    counts, blocks = cells.blocks_of(vectors, np.arange(len(vectors)), side, 1)  # type: ignore[arg-type]
    return blocks, np.cumsum(counts)[:-1]


def test_a_cell_that_lost_all_its_vectors_starts_again_at_the_worst_fitted_one() -> None:
    sample = np.array([[1, 0], [1, 0], [1, 0], [1, 0], [0, 1]], np.float32)
    centroids = train_centroids(sample, cells=2, iterations=3, seed=0)
    assert sorted(centroids.tolist()) == [[0.0, 1.0], [1.0, 0.0]]
