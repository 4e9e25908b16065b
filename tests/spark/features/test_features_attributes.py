"""The attributes view."""

import random

import pyarrow as pa
import pytest
from pyspark.sql import DataFrame, SparkSession

from schemas.errors import ConfigurationError
from schemas.workspace import Workspace
from spark.features.recipe import FewInputs, ViewInputs
from spark.features.recipes.attributes import AttributeSettings, build_attributes, build_few_attributes
from spark.neighbours.list_scan import PAIRS

CATALOGUE = "locale string, item_id string, attributes map<string, string>"
NEIGHBOURS = "locale string, item_id string, neighbour_item_id string, cosine double, rank int"


@pytest.fixture(scope="module")
def catalogue(spark: SparkSession) -> DataFrame:
    rows = [
        ("DE", "a", {"size": "L"}),
        ("DE", "b", {"colour": "red", "size": "M", "empty": ""}),
        ("DE", "c", {"colour": "blue", "size": "M", "empty": ""}),
        ("DE", "d", {"colour": "blue"}),
        ("DE", "e", None),
    ]
    return spark.createDataFrame(rows, CATALOGUE)


def neighbours(spark: SparkSession, *rows: tuple[str, str, float, int]) -> DataFrame:
    return spark.createDataFrame([("DE", *row) for row in rows], NEIGHBOURS)


def build(catalogue: DataFrame, found: DataFrame, **settings: float) -> list[tuple]:
    chosen = AttributeSettings(**settings)  # type: ignore[arg-type]
    inputs = ViewInputs(catalogue=catalogue, space_id="space-a", neighbours=found)
    rows = build_attributes(inputs, chosen).orderBy("item_id", "attribute").collect()
    return [(*row[:4], round(row[4], 6), *row[5:]) for row in rows]


def test_neighbours_vote_by_nearness_for_what_the_listing_does_not_declare(spark: SparkSession, catalogue: DataFrame) -> None:
    """Distances of .12 and, twice, .24 with what is added: the far ones weigh a quarter each."""
    found = neighbours(spark, ("a", "c", 0.9, 1), ("a", "b", 0.78, 2), ("a", "d", 0.78, 3))
    assert build(catalogue, found) == [("DE", "a", "colour", "blue", 0.833333, 3, "space-a")]


def test_the_weights_are_the_same_in_a_space_whose_cosines_lie_close(spark: SparkSession, catalogue: DataFrame) -> None:
    wide = neighbours(spark, ("e", "b", 0.88, 1), ("e", "c", 0.58, 2))  # distances .14 and .44
    close = neighbours(spark, ("e", "b", 0.985, 1), ("e", "c", 0.91, 2))  # .035 and .11
    assert build(catalogue, wide)[0][3:6] == build(catalogue, close)[0][3:6] == ("red", 0.908067, 2)


def test_a_listing_without_attributes_gets_all_that_its_neighbours_agree_on(spark: SparkSession, catalogue: DataFrame) -> None:
    found = neighbours(spark, ("e", "b", 0.9, 1), ("e", "c", 0.78, 2))
    assert build(catalogue, found) == [
        ("DE", "e", "colour", "red", 0.8, 2, "space-a"),
        ("DE", "e", "size", "M", 1.0, 2, "space-a"),
    ]


def test_neighbours_that_declare_no_value_say_that_there_may_be_none(spark: SparkSession, catalogue: DataFrame) -> None:
    near_without = neighbours(spark, ("e", "d", 0.9, 1), ("e", "b", 0.78, 2), ("e", "c", 0.78, 3))
    assert build(catalogue, near_without, min_confidence=0) == [
        ("DE", "e", "colour", "blue", 0.833333, 3, "space-a"),
        ("DE", "e", "size", "M", 0.333333, 2, "space-a"),
    ]
    assert [row[2] for row in build(catalogue, near_without)] == ["colour"]


def test_far_and_late_neighbours_do_not_vote_and_one_voter_is_too_few(spark: SparkSession, catalogue: DataFrame) -> None:
    found = neighbours(spark, ("a", "b", 0.9, 1), ("a", "c", 0.49, 2), ("a", "d", 0.8, 3))
    assert build(catalogue, found, neighbours=2) == []
    assert build(catalogue, found, neighbours=2, min_votes=1) == [("DE", "a", "colour", "red", 1.0, 1, "space-a")]


def test_votes_that_are_split_below_the_confidence_give_no_value(spark: SparkSession, catalogue: DataFrame) -> None:
    found = neighbours(spark, ("a", "b", 0.9, 1), ("a", "c", 0.78, 2))
    assert build(catalogue, found, min_confidence=0.81) == []


def test_of_values_with_equal_weight_the_first_in_order_wins(spark: SparkSession, catalogue: DataFrame) -> None:
    found = neighbours(spark, ("a", "b", 0.7, 1), ("a", "c", 0.7, 2))
    assert build(catalogue, found) == [("DE", "a", "colour", "blue", 0.5, 2, "space-a")]


def test_names_that_differ_by_case_or_width_are_one(spark: SparkSession) -> None:
    rows = [
        ("DE", "a", {"vezels": "0.5"}),
        ("DE", "b", {"Vezels": "0.5", "Ｅｎｅｒｇｉｅ": "270", "ｶﾞﾗｽ": "x"}),
        ("DE", "c", {"VEZELS": "0.5", "energie": "270", "ENERGIE": "271", "ガラス": "x"}),
    ]
    found = neighbours(spark, ("a", "b", 0.9, 1), ("a", "c", 0.78, 2))
    assert build(spark.createDataFrame(rows, CATALOGUE), found) == [
        ("DE", "a", "Ｅｎｅｒｇｉｅ", "270", 0.8, 2, "space-a"),
        ("DE", "a", "ｶﾞﾗｽ", "x", 1.0, 2, "space-a"),
    ]


def test_impossible_settings_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="min_cosine .* is 0; min_votes .* is 0"):
        AttributeSettings(min_cosine=0, min_votes=0)


def test_rows_of_few_listings_are_those_of_the_whole_view(spark: SparkSession) -> None:
    dice = random.Random(3)
    names, values = (
        ["colour", "COLOUR", "size", "Size", "\uff53\uff49\uff5a\uff45", "weight", ""],
        ["red", "blue", "", None, "\u00e9"],
    )
    listings = [(dice.choice(("DE", "FR")), f"{number:02}") for number in range(60)]
    maps = [[(name, dice.choice(values)) for name in dice.sample(names, dice.randrange(5))] for _ in listings]
    found = []
    for locale, item in listings:
        others = dice.sample([other for where, other in listings if where == locale and other != item], 12)
        distances = sorted(-dice.choice((1_000_000, 900_000, 800_000, dice.randrange(400_000, 10**6))) for _ in others)
        found += [(locale, item, *pair, rank + 1) for rank, pair in enumerate(zip(others, distances, strict=True))]
    pairs = pa.Table.from_pylist([dict(zip(PAIRS.names, row, strict=True)) for row in found], PAIRS)
    attributes = pa.array(
        [entries if number % 9 else None for number, entries in enumerate(maps)], pa.map_(pa.string(), pa.string())
    )
    catalogue = pa.table(
        [[key[0] for key in listings], [key[1] for key in listings], attributes], names=["locale", "item_id", "attributes"]
    )
    frame = spark.createDataFrame(pairs).selectExpr(
        "locale", "item_id", "neighbour_item_id", "-distance / 1000000 AS cosine", "rank"
    )
    whole = ViewInputs(catalogue=spark.createDataFrame(catalogue), space_id="space-a", neighbours=frame)
    few = FewInputs(spark=spark, workspace=Workspace(""), catalogue=catalogue, neighbours=pairs, space_id="space-a")
    settings = AttributeSettings(min_confidence=0.2)
    rows = build_attributes(whole, settings).toArrow()
    made = build_few_attributes(settings)(few).select(rows.column_names).cast(rows.schema)
    order = [(name, "ascending") for name in rows.column_names]
    assert len(rows) > 50
    assert made.sort_by(order).to_pylist() == rows.sort_by(order).to_pylist()
    nothing = FewInputs(
        spark=spark, workspace=Workspace(""), catalogue=catalogue.slice(0, 0), neighbours=pairs.slice(0, 0), space_id="space-a"
    )
    assert len(build_few_attributes(settings)(nothing)) == 0
