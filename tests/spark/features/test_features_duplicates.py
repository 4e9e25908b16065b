"""The duplicates view."""

import numpy as np
import pyarrow as pa
import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from schemas.errors import ConfigurationError
from schemas.workspace import Workspace
from spark.features.recipe import FewInputs, ViewInputs
from spark.features.recipes.duplicates import (
    DuplicateSettings,
    build_duplicates,
    build_few_duplicates,
    cosine_of,
    pair_equal_texts,
)
from spark.neighbours.list_scan import PAIRS
from spark.vectors.columns import to_unit_length, vectors_to_lists

CATALOGUE = "locale string, item_id string, vector array<float>, text_hash string"
NEIGHBOURS = "locale string, item_id string, neighbour_item_id string, cosine double, rank int"


@pytest.fixture(scope="module")
def catalogue(spark: SparkSession) -> DataFrame:
    rows = [
        ("DE", "a", [1.0, 0.0], "text-1"),
        ("DE", "b", [0.8, 0.6], "text-2"),
        ("DE", "c", [0.6, 0.8], "text-1"),
        ("DE", "d", [0.0, 1.0], "text-1"),
        ("FR", "e", [1.0, 0.0], "text-1"),
    ]
    return spark.createDataFrame(rows, CATALOGUE)


def inputs(catalogue: DataFrame, neighbours: DataFrame) -> ViewInputs:
    return ViewInputs(catalogue=catalogue, space_id="space-a", neighbours=neighbours)


def test_pairs_are_near_neighbours_from_the_threshold_upwards_and_all_listings_of_equal_text(
    spark: SparkSession, catalogue: DataFrame
) -> None:
    neighbours = spark.createDataFrame(
        [
            ("DE", "b", "a", 0.8, 1),
            ("DE", "a", "b", 0.8, 1),
            ("DE", "b", "c", 0.96, 2),
            ("DE", "c", "d", 0.799999, 1),
            ("DE", "d", "b", 0.95, 3),
        ],
        NEIGHBOURS,
    )
    found = build_duplicates(inputs(catalogue, neighbours), DuplicateSettings(threshold=0.8, neighbours=2))
    assert [(*row[:3], round(row[3], 6), *row[4:]) for row in found.orderBy("item_id", "other_item_id").collect()] == [
        ("DE", "a", "b", 0.8, False, None, "space-a"),
        ("DE", "a", "c", 0.6, True, None, "space-a"),
        ("DE", "a", "d", 0.0, True, None, "space-a"),
        ("DE", "b", "c", 0.96, False, None, "space-a"),
    ]


def test_a_text_that_many_share_gives_one_pair_less_than_listings_and_never_crosses_a_locale(catalogue: DataFrame) -> None:
    found = pair_equal_texts(catalogue).orderBy("other_item_id").collect()
    assert [tuple(row)[:3] for row in found] == [("DE", "a", "c"), ("DE", "a", "d")]


def test_a_pair_found_as_neighbours_and_by_its_text_is_one_row(spark: SparkSession, catalogue: DataFrame) -> None:
    neighbours = spark.createDataFrame([("DE", "a", "c", 0.6, 1)], NEIGHBOURS)
    found = build_duplicates(inputs(catalogue, neighbours), DuplicateSettings(threshold=0.5)).where("other_item_id = 'c'")
    assert [(row.item_id, row.same_text) for row in found.collect()] == [("a", True)]


def test_cosines_are_rounded_to_six_decimals_and_at_most_one(spark: SparkSession) -> None:
    pair = spark.createDataFrame([([0.6, 0.80001], [0.6, 0.8]), ([1.0], [1.0000001])], "a array<float>, b array<float>")
    cosines = [row[0] for row in pair.select(cosine_of(F.col("a"), F.col("b"))).collect()]
    assert cosines == [1.0, 1.0]
    third = spark.createDataFrame([([0.3333333], [1.0])], "a array<float>, b array<float>")
    assert third.select(cosine_of(F.col("a"), F.col("b"))).collect()[0][0] == 0.333333


def test_impossible_settings_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="threshold .* is 90; neighbours .* is 0"):
        DuplicateSettings(threshold=90, neighbours=0)


def test_rows_of_few_listings_are_those_of_the_whole_view(spark: SparkSession) -> None:
    rng = np.random.default_rng(5)
    ids, locales = [f"{number:02}" for number in range(40)], rng.choice(["DE", "FR"], 40).tolist()
    vectors = vectors_to_lists(to_unit_length(rng.normal(size=(40, 5))))
    texts = [f"text-{number}" for number in rng.integers(0, 12, 40)]
    catalogue = pa.table([locales, ids, vectors, texts], names=["locale", "item_id", "vector", "text_hash"])
    found = [
        (locale, own, other, -int(rng.integers(600_000, 10**6)), rank + 1)
        for locale, own in zip(locales, ids, strict=True)
        for rank, other in enumerate(
            rng.choice([i for i, where in zip(ids, locales, strict=True) if where == locale and i != own], 4)
        )
    ]
    pairs = pa.Table.from_pylist([dict(zip(PAIRS.names, row, strict=True)) for row in found], PAIRS)
    frame = spark.createDataFrame(pairs).selectExpr(
        "locale", "item_id", "neighbour_item_id", "-distance / 1000000 AS cosine", "rank"
    )
    settings = DuplicateSettings(threshold=0.8, neighbours=3)
    rows = build_duplicates(inputs(spark.createDataFrame(catalogue), frame), settings).toArrow()
    build_few = build_few_duplicates(settings)
    assert build_few is not None
    made = build_few(FewInputs(spark=spark, workspace=Workspace(""), catalogue=catalogue, neighbours=pairs, space_id="space-a"))
    order = [(name, "ascending") for name in rows.column_names]
    assert len(rows) > 50
    assert made.select(rows.column_names).cast(rows.schema).sort_by(order).to_pylist() == rows.sort_by(order).to_pylist()
    assert build_few_duplicates(DuplicateSettings(experiment="some")) is None
