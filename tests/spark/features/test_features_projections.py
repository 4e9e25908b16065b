"""The ctr and search views: projections that the space seeds."""

from pathlib import Path

import numpy as np
import pytest
from pyspark.sql import DataFrame, SparkSession

from m5model.partners.experiment import Plan, run_experiment
from m5model.partners.records import write_experiment
from m5model.partners.strategies import projection
from m5model.partners.towers import load_towers
from schemas.errors import SpaceMismatchError
from schemas.workspace import Workspace
from spark.features.recipe import NoSettings, ViewInputs
from spark.features.recipes.ctr import build_ctr
from spark.features.recipes.search import SearchSettings, build_search, pin_experiment
from spark.vectors.projection import projection_matrix
from tests.m5model.partners.conftest import DIMENSIONS, SPACE, open_rows
from tests.m5model.partners.searches import meaning_vectors, query_rows

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
    rows = build_search(inputs(catalogue(spark, 300)[0]), SearchSettings()).orderBy("item_id").collect()
    assert [row.language for row in rows] == ["fr", "en", "en", "en"]
    lengths = np.linalg.norm(np.array([row.vector for row in rows]), axis=1)
    assert len(rows[0].vector) == 256 and lengths == pytest.approx(np.ones(4), abs=1e-6)


def test_vectors_of_fewer_dimensions_keep_their_cosines_exactly(spark: SparkSession) -> None:
    frame, vectors = catalogue(spark, 20)
    found = np.array([row.vector for row in build_search(inputs(frame), SearchSettings()).orderBy("item_id").collect()])
    assert found.shape == (4, 256)
    assert found @ found.T == pytest.approx(vectors @ vectors.T, abs=1e-6)


def test_a_search_experiments_map_of_listings_makes_the_index(spark: SparkSession, tmp_path: Path) -> None:
    rows = query_rows(30)
    settings = projection.Settings(dimensions=4, prefixes=(), rounds=0)
    vectors = meaning_vectors(rows)
    outcome = run_experiment(
        Plan(data=open_rows(tmp_path, rows, "search"), vectors=vectors, strategy="projection", settings=settings)
    )
    workspace = Workspace(str(tmp_path / "workspace"))
    manifest = write_experiment(workspace, outcome, "")
    pinned = pin_experiment(SearchSettings(experiment="newest"), workspace, SPACE)
    assert pinned.experiment == manifest.id
    assert pin_experiment(SearchSettings(experiment="newest"), workspace, "space-a").experiment == "none"
    frame, given = catalogue(spark, DIMENSIONS)
    published = build_search(ViewInputs(catalogue=frame, space_id=SPACE, workspace=workspace), pinned)
    found = published.orderBy("item_id").collect()
    expected = load_towers(Path(workspace.experiment("search", manifest.id)) / "model").items.apply(given)
    np.testing.assert_array_equal(np.array([row.vector for row in found], np.float32), expected)
    assert {row.experiment for row in found} == {manifest.id}
    with pytest.raises(SpaceMismatchError, match="space-a"):
        build_search(ViewInputs(catalogue=frame, space_id="space-a", workspace=workspace), pinned)
