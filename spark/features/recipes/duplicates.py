"""``features/duplicates``: pairs of near neighbours, and pairs of equal text."""

from dataclasses import dataclass

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from schemas.checks import require

PAIR = ["locale", "item_id", "other_item_id"]


@dataclass(frozen=True, kw_only=True)
class DuplicateSettings:
    """When two listings may be the same item."""

    threshold: float = 0.9  # least cosine of a pair
    neighbours: int = 10  # neighbours per listing that are looked at; bounds the pairs to rows x neighbours

    def __post_init__(self) -> None:
        rules = {
            f"threshold must be between -1 and 1, is {self.threshold}": -1 <= self.threshold <= 1,
            f"neighbours must be at least 1, is {self.neighbours}": self.neighbours >= 1,
        }
        require("DuplicateSettings", rules)


def build_duplicates(catalogue: DataFrame, neighbours: DataFrame, space_id: str, settings: DuplicateSettings) -> DataFrame:
    """The view of schemas.features.DUPLICATES, a row per pair.

    ``catalogue`` holds locale, item_id, vector and text_hash; ``neighbours`` comes from spark.neighbours.
    Neighbours count from the threshold upwards, equal texts always.
    """
    pairs = pair_neighbours(neighbours, settings).unionByName(pair_equal_texts(catalogue))
    hashes = catalogue.select("locale", "item_id", "text_hash")
    others = hashes.select("locale", F.col("item_id").alias("other_item_id"), F.col("text_hash").alias("other_hash"))
    return (
        pairs.groupBy(*PAIR)
        .agg(F.max("cosine").alias("cosine"))
        .join(hashes, ["locale", "item_id"])
        .join(others, ["locale", "other_item_id"])
        .select(
            *PAIR,
            F.col("cosine").cast("float").alias("cosine"),
            (F.col("text_hash") == F.col("other_hash")).alias("same_text"),
            F.lit(space_id).alias("space_id"),
        )
    )


def pair_neighbours(neighbours: DataFrame, settings: DuplicateSettings) -> DataFrame:
    """Locale, item_id < other_item_id, cosine; a pair that found each other stands there twice."""
    near = (F.col("cosine") >= settings.threshold) & (F.col("rank") <= settings.neighbours)
    return neighbours.where(near).select(
        "locale",
        F.least("item_id", "neighbour_item_id").alias("item_id"),
        F.greatest("item_id", "neighbour_item_id").alias("other_item_id"),
        "cosine",
    )


def pair_equal_texts(catalogue: DataFrame) -> DataFrame:
    """Every listing with the smallest id among those of its text in its locale: locale, item_id, other_item_id, cosine.

    A text that n listings share thus gives n - 1 pairs, which join them all, and not n(n - 1)/2.
    """
    texts = catalogue.groupBy("locale", "text_hash").agg(F.min("item_id").alias("first"), F.count("*").alias("listings"))
    shared = texts.where("listings > 1").drop("listings")
    firsts = (
        shared.withColumnRenamed("first", "item_id")
        .join(catalogue, ["locale", "item_id", "text_hash"])
        .select("locale", "item_id", "text_hash", F.col("vector").alias("first_vector"))
    )
    return (
        catalogue.withColumnRenamed("item_id", "other_item_id")
        .join(firsts, ["locale", "text_hash"])
        .where("item_id < other_item_id")
        .select(*PAIR, cosine_of(F.col("first_vector"), F.col("vector")).alias("cosine"))
    )


def cosine_of(first: Column, second: Column) -> Column:
    """Inner product of two unit vectors, double, rounded to 6 decimals as neighbours' cosines are."""
    products = F.zip_with(first, second, lambda a, b: a.cast("double") * b)
    return F.least(F.lit(1.0), F.round(F.aggregate(products, F.lit(0.0), lambda total, product: total + product), 6))
