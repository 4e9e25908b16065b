"""The brands view."""

import math

import numpy as np
import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from schemas.errors import ConfigurationError
from spark.features.recipe import ViewInputs
from spark.features.recipes.brands import (
    BrandCentroids,
    BrandSettings,
    brand_key,
    build_brands,
    collect_centroids,
    name_brands,
    sum_spellings,
)

CATALOGUE = "locale string, item_id string, brand string, vector array<float>"

ROWS = [
    ("DE", "a", "Acme", [1.0, 0.0]),
    ("FR", "b", " ACME ", [0.8, 0.6]),
    ("DE", "c", "Acme", [0.6, 0.8]),
    ("DE", "d", "Bolt", [0.0, 1.0]),
    ("DE", "e", "bolt", [0.0, 1.0]),
    ("DE", "f", "Rare", [0.0, 1.0]),
    ("DE", "g", None, [0.0, 1.0]),
]


@pytest.fixture(scope="module")
def catalogue(spark: SparkSession) -> DataFrame:
    return spark.createDataFrame(ROWS, CATALOGUE)


def inputs(catalogue: DataFrame) -> ViewInputs:
    return ViewInputs(catalogue=catalogue, space_id="space-a", sums=sum_spellings(catalogue))


def test_every_listing_gets_its_nearest_brand_across_locales_and_its_own_centroid_leaves_it_out(catalogue: DataFrame) -> None:
    found = {row.item_id: row for row in build_brands(inputs(catalogue), BrandSettings(min_listings=2)).collect()}
    assert sorted(found) == ["a", "b", "c", "d", "e", "f", "g"]
    # b alone leaves (1, 0) and (0.6, 0.8): mean direction (0.894427, 0.447214)
    assert (found["b"].brand, found["b"].nearest_brand) == (" ACME ", "Acme")
    assert found["b"].score == pytest.approx(0.8 * 0.894427 + 0.6 * 0.447214, abs=1e-6)
    assert found["b"].margin == pytest.approx(found["b"].score - 0.6, abs=1e-6)
    # c without itself is at (0.948683, 0.316228), cosine 0.82, so still above Bolt's 0.8
    assert (found["c"].nearest_brand, round(found["c"].score, 6)) == ("Acme", 0.822192)
    assert [found[item].nearest_brand for item in "defg"] == ["Bolt"] * 4
    assert (found["g"].brand, found["g"].score, found["g"].space_id) == (None, 1.0, "space-a")


def test_a_brand_is_named_as_most_of_its_listings_spell_it_the_first_of_equally_frequent_ones(catalogue: DataFrame) -> None:
    named = name_brands(sum_spellings(catalogue), BrandSettings(min_listings=2))
    assert {tuple(row) for row in named.collect()} == {("acme", "Acme"), ("bolt", "Bolt")}


def test_brands_below_the_least_number_of_listings_or_beyond_the_greatest_number_of_brands_do_not_compete(
    catalogue: DataFrame,
) -> None:
    for settings in (BrandSettings(min_listings=3), BrandSettings(min_listings=2, max_brands=1)):
        assert [row.name for row in name_brands(sum_spellings(catalogue), settings).collect()] == ["Acme"]


def test_the_margin_of_the_only_brand_is_its_score_plus_one(catalogue: DataFrame) -> None:
    row = build_brands(inputs(catalogue), BrandSettings(min_listings=3)).where("item_id = 'g'").collect()[0]
    assert row.margin == pytest.approx(row.score + 1, abs=1e-6)


def test_without_any_brand_the_view_is_empty(catalogue: DataFrame) -> None:
    assert build_brands(inputs(catalogue), BrandSettings(min_listings=4)).collect() == []


def test_spellings_that_differ_in_case_and_white_space_are_one_brand_and_blank_ones_none(spark: SparkSession) -> None:
    spellings = spark.createDataFrame([("  Foo\t Bar ",), ("FOO BAR",), ("  ",), (None,)], "brand string")
    assert [row[0] for row in spellings.select(brand_key(F.col("brand"))).collect()] == ["foo bar", "foo bar", None, None]


def test_collected_centroids_are_in_the_order_of_their_keys(catalogue: DataFrame) -> None:
    centroids = collect_centroids(sum_spellings(catalogue), BrandSettings(min_listings=2))
    assert (centroids.keys, centroids.names) == (("acme", "bolt"), ("Acme", "Bolt"))
    assert centroids.totals_BD == pytest.approx(np.array([[2.4, 1.4], [0.0, 2.0]]), abs=1e-6)


def test_a_brand_whose_other_listings_cancel_out_scores_zero() -> None:
    centroids = BrandCentroids(keys=("x",), names=("X",), totals_BD=np.array([[1.0, 0.0]]))
    _, micro = centroids.best_two(np.array([[1.0, 0.0]], np.float32), np.array([0]))
    assert micro.tolist() == [[0.0]] and not math.isnan(micro[0, 0])


def test_a_centroid_of_a_single_listing_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="min_listings must be at least 2, is 1"):
        BrandSettings(min_listings=1)
