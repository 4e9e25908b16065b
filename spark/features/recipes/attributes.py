"""``features/attributes``: what a listing's neighbours say about the attributes that it does not declare."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import pyarrow as pa
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from schemas.checks import is_number, is_whole, require
from schemas.features import SPACE_ID, FeatureView
from schemas.listing import ITEM_ID, LOCALE
from schemas.tables import TEXT, Column
from spark.features.attribute_names import fold_name
from spark.features.attribute_votes import Voting, vote_in_driver
from spark.features.recipe import FewInputs, NeighbourNeed, ViewInputs, ViewRecipe, flag
from spark.vectors.top_k import MICRO

ATTRIBUTE = ["locale", "item_id", "attribute"]
NAMED = ["locale", "item_id", "name"]  # ``name``: the attribute's, folded
SAME_DISTANCE = 0.02  # added to all distances: nearer than that, neighbours are alike

VIEW = FeatureView(
    name="attributes",
    owner="document-understanding",
    description="Attribute values that a listing does not declare, voted for by its nearest neighbours that do.",
    key=("locale", "item_id", "attribute"),
    columns=(
        LOCALE,
        ITEM_ID,
        Column(name="attribute", type=TEXT, meaning="attribute name", nullable=False),
        Column(name="value", type=TEXT, meaning="value with the largest vote, weighted by nearness", nullable=False),
        Column(
            name="confidence",
            type=pa.float32(),
            meaning="that value's share of the weight of all nearest neighbours, those that declare no value included",
            unit="0 to 1",
            nullable=False,
        ),
        Column(name="votes", type=pa.int32(), meaning="neighbours that declare the attribute", unit="listings", nullable=False),
        SPACE_ID,
    ),
    freshness_hours=24,
)


@dataclass(frozen=True, kw_only=True)
class AttributeSettings:
    """When neighbours are believed."""

    neighbours: int = 10  # nearest listings that vote
    min_cosine: float = flag(0.5, "--attribute-min-cosine", "least cosine of a voter")
    # Voters declare the attribute, whatever its value.
    min_votes: int = flag(2, "--attribute-min-votes", "least neighbours that vote")
    # The best value's share of the weight of all neighbours: who declares no value says that there may be none.
    min_confidence: float = flag(0.5, "--attribute-min-confidence", "least share of the neighbours' weight")

    def __post_init__(self) -> None:
        rules = {
            f"neighbours must be at least 1, is {self.neighbours!r}": is_whole(self.neighbours, 1),
            f"min_cosine must be above 0 and at most 1, is {self.min_cosine!r}": (
                is_number(self.min_cosine, 0, 1) and self.min_cosine > 0
            ),
            f"min_votes must be at least 1, is {self.min_votes!r}": is_whole(self.min_votes, 1),
            f"min_confidence must be between 0 and 1, is {self.min_confidence!r}": is_number(self.min_confidence, 0, 1),
        }
        require("AttributeSettings", rules)


def build_attributes(inputs: ViewInputs, settings: AttributeSettings) -> DataFrame:
    """A row per listing and attribute that it lacks.

    Names that differ by case or width are one name, spelled as the nearest voter spells it. Values are compared as they are
    written. Of values with equal weight the first in order wins.
    """
    declared = explode_attributes(inputs.catalogue)
    voters = weigh_voters(inputs.require_neighbours(), settings)
    votes = collect_votes(voters, declared).join(declared, NAMED, "left_anti")
    trusted = (F.col("votes") >= settings.min_votes) & (F.col("confidence") >= settings.min_confidence)
    return (
        elect_values(votes)
        .where(trusted)
        .select(
            *ATTRIBUTE,
            "value",
            F.col("confidence").cast("float").alias("confidence"),
            F.col("votes").cast("int").alias("votes"),
            F.lit(inputs.space_id).alias("space_id"),
        )
    )


def explode_attributes(catalogue: DataFrame) -> DataFrame:
    """Locale, item_id, name, attribute, value: what listings declare, empty values left out.

    ``name`` is the attribute's name folded. A listing that has one in two spellings declares the first in order.
    """
    entries = F.filter(F.map_entries("attributes"), lambda entry: F.length(entry["value"]) > 0)
    named = F.transform(
        F.array_sort(entries), lambda entry: F.struct(fold_name(entry["key"]).alias("name"), entry["key"], entry["value"])
    )
    rows = catalogue.select("locale", "item_id", named.alias("entries")).withColumn("names", F.col("entries.name"))
    is_first = F.filter("entries", lambda entry, i: F.array_position("names", entry["name"]) == i + 1)
    single = rows.select("locale", "item_id", F.explode(is_first).alias("entry"))
    return single.select("locale", "item_id", "entry.name", F.col("entry.key").alias("attribute"), "entry.value")


def weigh_voters(neighbours: DataFrame, settings: AttributeSettings) -> DataFrame:
    """Locale, item_id, neighbour_item_id, weight, and ``every``: the weight of all voters of the listing.

    Another offer of the same product lies much nearer than products of the same kind, and knows better. So the weight falls
    with the square of the distance (1 - cosine), relative to the nearest: in every space, however wide its cosines are spread
    (distance-weighted neighbours, Dudani 1976). In whole millionths: integers add up the same in any order.
    """
    near = (F.col("cosine") >= settings.min_cosine) & (F.col("rank") <= settings.neighbours)
    own = Window.partitionBy("locale", "item_id")
    distance = 1 + SAME_DISTANCE - F.col("cosine").cast("double")
    nearness = F.min(distance).over(own) / distance
    weight = F.round(nearness * nearness * MICRO).cast("long")
    voters = neighbours.where(near).select("locale", "item_id", "neighbour_item_id", weight.alias("weight"))
    return voters.withColumn("every", F.sum("weight").over(own))


def collect_votes(voters: DataFrame, declared: DataFrame) -> DataFrame:
    """Locale, item_id, name, attribute, value, weight, every: a row per neighbour and attribute that it declares."""
    values = declared.withColumnRenamed("item_id", "neighbour_item_id")
    return voters.join(values, ["locale", "neighbour_item_id"]).select(*NAMED, "attribute", "value", "weight", "every")


def elect_values(votes: DataFrame) -> DataFrame:
    """Locale, item_id, attribute, and of its values the heaviest; its share of all voters' weight; how many voted for any."""
    nearest = F.min(F.struct((-F.col("weight")).alias("order"), "attribute"))
    per_value = votes.groupBy(*NAMED, "value").agg(
        F.sum("weight").alias("weight"), F.count("*").alias("votes"), nearest.alias("nearest"), F.max("every").alias("every")
    )
    best = F.min(F.struct((-F.col("weight")).alias("order"), "value"))
    elected = per_value.groupBy(*NAMED).agg(
        best.alias("best"), F.min("nearest").alias("nearest"), F.max("every").alias("every"), F.sum("votes").alias("votes")
    )
    confidence = (-F.col("best.order") / F.col("every")).alias("confidence")
    return elected.select("locale", "item_id", "nearest.attribute", "best.value", confidence, "votes")


def build_few_attributes(settings: AttributeSettings) -> Callable[[FewInputs], pa.Table]:
    voting = Voting(
        neighbours=settings.neighbours,
        min_cosine=settings.min_cosine,
        min_votes=settings.min_votes,
        min_confidence=settings.min_confidence,
        same_distance=SAME_DISTANCE,
    )
    return partial(vote_in_driver, voting=voting)


def _need(settings: AttributeSettings) -> NeighbourNeed:
    return NeighbourNeed(k=settings.neighbours, min_cosine=settings.min_cosine)


RECIPE = ViewRecipe(
    view=VIEW,
    depends_on=("neighbourhood",),
    reads=("attributes",),
    settings=AttributeSettings(),
    build=build_attributes,
    build_few=build_few_attributes,
    vectors=False,
    search=_need,
)
