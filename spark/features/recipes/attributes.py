"""``features/attributes``: what a listing's neighbours say about the attributes that it does not declare."""

from dataclasses import dataclass

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from schemas.checks import require
from spark.vectors.blocks import MICRO

ATTRIBUTE = ["locale", "item_id", "attribute"]


@dataclass(frozen=True, kw_only=True)
class AttributeSettings:
    """When neighbours are believed."""

    neighbours: int = 10  # nearest listings that vote
    min_cosine: float = 0.5  # least similarity of a voter; above 0, because it is the vote's weight
    min_votes: int = 2  # neighbours that declare the attribute, whatever its value
    min_confidence: float = 0.5  # least share of the weight that the best value has

    def __post_init__(self) -> None:
        rules = {
            f"neighbours must be at least 1, is {self.neighbours}": self.neighbours >= 1,
            f"min_cosine must be above 0 and at most 1, is {self.min_cosine}": 0 < self.min_cosine <= 1,
            f"min_votes must be at least 1, is {self.min_votes}": self.min_votes >= 1,
            f"min_confidence must be between 0 and 1, is {self.min_confidence}": 0 <= self.min_confidence <= 1,
        }
        require("AttributeSettings", rules)


def build_attributes(catalogue: DataFrame, neighbours: DataFrame, space_id: str, settings: AttributeSettings) -> DataFrame:
    """The view of schemas.features.ATTRIBUTES, a row per listing and attribute that it lacks.

    ``catalogue`` holds locale, item_id and attributes; ``neighbours`` comes from spark.neighbours. Names and values are
    compared as they are written. Of values with equal weight the first in order wins.
    """
    declared = explode_attributes(catalogue)
    votes = collect_votes(neighbours, declared, settings).join(declared, ATTRIBUTE, "left_anti")
    trusted = (F.col("votes") >= settings.min_votes) & (F.col("confidence") >= settings.min_confidence)
    return (
        elect_values(votes)
        .where(trusted)
        .select(
            *ATTRIBUTE,
            "value",
            F.col("confidence").cast("float").alias("confidence"),
            F.col("votes").cast("int").alias("votes"),
            F.lit(space_id).alias("space_id"),
        )
    )


def explode_attributes(catalogue: DataFrame) -> DataFrame:
    """Locale, item_id, attribute, value: what listings declare, empty values left out."""
    entries = catalogue.select("locale", "item_id", F.explode("attributes").alias("attribute", "value"))
    return entries.where(F.length("value") > 0)


def collect_votes(neighbours: DataFrame, declared: DataFrame, settings: AttributeSettings) -> DataFrame:
    """Locale, item_id, attribute, value, weight: a row per neighbour and attribute that it declares.

    The weight is the cosine in whole millionths: integers add up the same in any order.
    """
    near = (F.col("cosine") >= settings.min_cosine) & (F.col("rank") <= settings.neighbours)
    voters = neighbours.where(near).select(
        "locale", "item_id", "neighbour_item_id", F.round(F.col("cosine") * MICRO).cast("long").alias("weight")
    )
    values = declared.withColumnRenamed("item_id", "neighbour_item_id")
    return voters.join(values, ["locale", "neighbour_item_id"]).select(*ATTRIBUTE, "value", "weight")


def elect_values(votes: DataFrame) -> DataFrame:
    """Locale, item_id, attribute, and of its values the heaviest; its share of the weight; how many voted in all."""
    per_value = votes.groupBy(*ATTRIBUTE, "value").agg(F.sum("weight").alias("weight"), F.count("*").alias("votes"))
    best = F.min(F.struct((-F.col("weight")).alias("order"), "value"))
    elected = per_value.groupBy(*ATTRIBUTE).agg(
        best.alias("best"), F.sum("weight").alias("weight"), F.sum("votes").alias("votes")
    )
    return elected.select(*ATTRIBUTE, "best.value", (-F.col("best.order") / F.col("weight")).alias("confidence"), "votes")
