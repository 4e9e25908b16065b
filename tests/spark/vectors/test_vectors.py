"""Vectors between Arrow and numpy, exact top-k, exact sums, projection."""

import numpy as np
import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

from schemas.errors import BadDataError
from spark.vectors.columns import to_unit_length, vectors_from_arrow, vectors_to_bytes, vectors_to_lists
from spark.vectors.exact_sums import FIXED_POINT, add_sums, sum_by_key, sum_vectors, take_off
from spark.vectors.projection import projection_matrix
from spark.vectors.top_k import best_columns, best_of_rough, search_blocks


def test_lists_and_bytes_give_back_the_vectors_to_the_bit() -> None:
    vectors = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    for column in (vectors_to_lists(vectors), vectors_to_bytes(vectors)):
        assert vectors_from_arrow(column).tobytes() == vectors.tobytes()
        assert vectors_from_arrow(column.slice(2, 2)).tobytes() == vectors[2:4].tobytes()
    assert vectors_from_arrow(pa.array([], pa.list_(pa.float32()))).shape == (0, 0)


def test_a_zero_vector_has_no_direction_and_stays_zero() -> None:
    assert to_unit_length(np.array([[3.0, 4.0], [0.0, 0.0]])).tolist() == [[0.6, 0.8], [0.0, 0.0]]


def test_a_vector_is_no_neighbour_of_itself_and_blocks_do_not_change_what_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = to_unit_length(np.random.default_rng(1).normal(size=(40, 6))).astype(np.float32)
    own = np.arange(40)
    whole = [columns.tolist() for _, columns, _ in search_blocks(vectors, vectors, 5, own)]
    monkeypatch.setattr("spark.vectors.top_k.SCORES_PER_BLOCK", 120)
    cut = [columns.tolist() for _, columns, _ in search_blocks(vectors, vectors, 5, own)]
    assert len(cut) == 14 and sum(cut, []) == sum(whole, [])
    assert all(row not in found for row, found in enumerate(sum(whole, [])))


def test_sums_are_exact_whatever_the_order() -> None:
    vectors = np.array([[1e-9], [1.0], [-1.0], [1e-9]], np.float32)
    for order in ([0, 1, 2, 3], [1, 0, 3, 2]):
        assert sum_by_key(pa.array(["k"] * 4), vectors[order])["k"].tolist() == [8]  # in units of 2^-32


def test_equal_scores_are_ordered_by_column_and_excluded_ones_come_last() -> None:
    columns, micro = best_columns(np.array([[0.5, -np.inf, 0.50000001, 0.7]]), 4)
    assert columns.tolist() == [[3, 0, 2, 1]]
    assert micro.tolist() == [[700_000, 500_000, 500_000, -np.inf]]


def test_vectors_of_different_lengths_are_refused() -> None:
    with pytest.raises(BadDataError, match="of 1 and of 2 elements"):
        vectors_from_arrow(pa.array([[1.0], [1.0, 2.0]], pa.list_(pa.float32())))


@pytest.mark.parametrize(("dimensions", "projected"), [(96, 64), (64, 64), (20, 64)])
def test_the_matrix_is_orthonormal_along_its_smaller_side(dimensions: int, projected: int) -> None:
    matrix = projection_matrix("space-a", dimensions, projected)
    assert matrix.shape == (dimensions, projected)
    gram = matrix.T @ matrix if dimensions >= projected else matrix @ matrix.T
    assert gram == pytest.approx(np.eye(len(gram)), abs=1e-12)


def test_another_space_has_another_matrix_and_the_same_space_the_same() -> None:
    first = projection_matrix("space-a", 96, 64).copy()
    projection_matrix.cache_clear()
    assert np.array_equal(first, projection_matrix("space-a", 96, 64))
    assert not np.allclose(first, projection_matrix("space-b", 96, 64))


def test_sums_are_bit_equal_for_any_partitioning(spark: SparkSession) -> None:
    vectors = np.random.default_rng(5).normal(size=(300, 8)).astype(np.float32) / 8
    rows = [(f"k{i % 3}", vector.tolist()) for i, vector in enumerate(vectors)]
    frame = spark.createDataFrame(rows, "key string, vector array<float>")
    one, many = ({row.key: row.total for row in sum_vectors(frame.repartition(n), "key").collect()} for n in (1, 7))
    assert one == many
    assert np.array(one["k1"]) / FIXED_POINT == pytest.approx(vectors[1::3].astype(np.float64).sum(axis=0), abs=1e-7)


def test_sums_from_which_rows_are_taken_off_are_those_of_the_rows_that_stay(spark: SparkSession) -> None:
    vectors = np.random.default_rng(6).normal(size=(60, 4)).astype(np.float32) / 8
    frame = spark.createDataFrame([(f"k{i % 4}", v.tolist()) for i, v in enumerate(vectors)], "key string, vector array<float>")
    gone = frame.where("key = 'k0'").unionByName(frame.where("key = 'k1'").limit(3))
    all_sums, of_gone, of_rest = (sum_vectors(one, "key").toArrow() for one in (frame, gone, frame.exceptAll(gone)))
    left = add_sums(pa.concat_tables([all_sums, take_off(of_gone)]), "key")
    left = left.sort_by("key")
    assert left.to_pylist() == of_rest.sort_by("key").to_pylist()
    assert list(zip(left["key"].to_pylist(), left["rows"].to_pylist(), strict=True)) == [("k1", 12), ("k2", 15), ("k3", 15)]


def test_rough_scores_lead_to_the_columns_that_exact_ones_do_where_many_are_equal() -> None:
    rng = np.random.default_rng(5)
    vectors, others = (to_unit_length(rng.normal(size=(rows, 16))) for rows in (60, 9))
    others[3:6] = others[:3]
    others[6] = others[0] + 1e-7
    scores = vectors @ others.T
    for k in (1, 2, 4):
        found = best_of_rough(scores.astype(np.float32), lambda row, column: scores[row, column], k)
        assert all((one == other).all() for one, other in zip(found, best_columns(scores, k), strict=True))
