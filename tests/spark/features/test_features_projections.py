"""The ctr and search views: projections that the space seeds."""

import numpy as np
import pytest
from pyspark.sql import DataFrame, SparkSession

from spark.features.recipe import NoSettings, ViewInputs
from spark.features.recipes.ctr import build_ctr
from spark.features.recipes.search import build_search
from spark.vectors.projection import projection_matrix

CATALOGUE = "locale string, item_id string, language string, vector array<float>"


def catalogue(spark: SparkSession, dimensions: int) -> tuple[DataFrame, np.ndarray]:
    vectors = np.random.default_rng(dimensions).normal(size=(4, dimensions))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    rows = [("CA", f"{i}", "en" if i else "fr", vector.tolist()) for i, vector in enumerate(vectors)]
    return spark.createDataFrame(rows, CATALOGUE), vectors


def inputs(frame: DataFrame) -> ViewInputs:
    return ViewInputs(catalogue=frame, space_id="space-a")


def test_the_ctr_view_is_the_vector_times_the_matrix_of_its_space(spark: SparkSession) -> None:
    frame, vectors = catalogue(spark, 96)
    rows = build_ctr(inputs(frame), NoSettings()).orderBy("item_id").collect()
    assert rows[0].asDict().keys() == {"locale", "item_id", "projection", "space_id"}
    expected = vectors.astype(np.float64) @ projection_matrix("space-a", 96, 64)
    assert np.array([row.projection for row in rows], np.float32).tolist() == expected.astype(np.float32).tolist()


def test_search_vectors_have_256_dimensions_unit_length_and_the_listing_s_language(spark: SparkSession) -> None:
    rows = build_search(inputs(catalogue(spark, 300)[0]), NoSettings()).orderBy("item_id").collect()
    assert [row.language for row in rows] == ["fr", "en", "en", "en"]
    lengths = np.linalg.norm(np.array([row.vector for row in rows]), axis=1)
    assert len(rows[0].vector) == 256 and lengths == pytest.approx(np.ones(4), abs=1e-6)


def test_vectors_of_fewer_dimensions_keep_their_cosines_exactly(spark: SparkSession) -> None:
    frame, vectors = catalogue(spark, 20)
    found = np.array([row.vector for row in build_search(inputs(frame), NoSettings()).orderBy("item_id").collect()])
    assert found.shape == (4, 256)
    assert found @ found.T == pytest.approx(vectors @ vectors.T, abs=1e-6)
