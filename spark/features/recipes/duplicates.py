"""``features/duplicates``: pairs of near neighbours, and pairs of equal text."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import pyarrow as pa
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from m5model.partners.finished import newest_scorer
from m5model.runtime.rendering import DEFAULT_RENDERING
from schemas.checks import is_number, is_whole, require
from schemas.features import SPACE_ID, FeatureView
from schemas.listing import ITEM_ID, LOCALE
from schemas.tables import TEXT
from schemas.tables import Column as TableColumn
from schemas.workspace import Workspace
from spark.features.duplicate_pairs import pair_in_driver
from spark.features.recipe import FewInputs, NeighbourNeed, ViewInputs, ViewRecipe, flag

NEWEST, NO_EXPERIMENT = "newest", "none"
PAIR = ["locale", "item_id", "other_item_id"]

VIEW = FeatureView(
    name="duplicates",
    owner="duplicate-detection",
    description="Pairs of listings of one locale that may be the same item, found as near neighbours.",
    key=("locale", "item_id", "other_item_id"),
    columns=(
        LOCALE,
        ITEM_ID,
        TableColumn(name="other_item_id", type=TEXT, meaning="the other listing; greater than item_id", nullable=False),
        TableColumn(name="cosine", type=pa.float32(), meaning="similarity of the two vectors", unit="-1 to 1", nullable=False),
        TableColumn(name="same_text", type=pa.bool_(), meaning="both have the same text_hash", nullable=False),
        TableColumn(
            name="probability",
            type=pa.float32(),
            meaning="calibrated probability that both are one product, by the experiment that the settings name; null without",
            unit="0 to 1",
        ),
        SPACE_ID,
    ),
    freshness_hours=24,
)


@dataclass(frozen=True, kw_only=True)
class DuplicateSettings:
    """Says when two listings may be the same item."""

    threshold: float = flag(0.9, "--duplicate-threshold", "least cosine of a pair")
    experiment: str = flag(
        NO_EXPERIMENT,
        "--duplicates-experiment",
        f"whose model gives probabilities: an id, {NEWEST} (of the published space), or {NO_EXPERIMENT}",
        job_default=NEWEST,
    )
    neighbours: int = 10  # neighbours per listing that are looked at; bounds the pairs to rows x neighbours

    def __post_init__(self) -> None:
        rules = {
            f"threshold must be between -1 and 1, is {self.threshold!r}": is_number(self.threshold, -1, 1),
            f"neighbours must be at least 1, is {self.neighbours!r}": is_whole(self.neighbours, 1),
        }
        require("DuplicateSettings", rules)


def build_duplicates(inputs: ViewInputs, settings: DuplicateSettings) -> DataFrame:
    """A row per pair. Neighbours count from the threshold upwards, equal texts always."""
    catalogue = inputs.catalogue
    pairs = pair_neighbours(inputs.require_neighbours(), settings).unionByName(pair_equal_texts(catalogue))
    hashes = catalogue.select("locale", "item_id", "text_hash")
    others = hashes.select("locale", F.col("item_id").alias("other_item_id"), F.col("text_hash").alias("other_hash"))
    cosines = pairs.groupBy(*PAIR).agg(F.max("cosine").alias("cosine"))
    return (
        _judge(cosines, inputs, settings)
        .join(hashes, ["locale", "item_id"])
        .join(others, ["locale", "other_item_id"])
        .select(
            *PAIR,
            F.col("cosine").cast("float").alias("cosine"),
            (F.col("text_hash") == F.col("other_hash")).alias("same_text"),
            F.col("probability").cast("float").alias("probability"),
            F.lit(inputs.space_id).alias("space_id"),
        )
    )


def _judge(pairs: DataFrame, inputs: ViewInputs, settings: DuplicateSettings) -> DataFrame:
    """The pairs with their probability; null where no experiment is named."""
    if settings.experiment == NO_EXPERIMENT:
        return pairs.withColumn("probability", F.lit(None).cast("double"))
    from spark.features.pair_probability import add_probability  # what scores is needed by this alone

    workspace = inputs.require_workspace()
    return add_probability(pairs, inputs.catalogue, workspace, settings.experiment, inputs.space_id)


def pin_experiment(settings: DuplicateSettings, workspace: Workspace, space_id: str) -> DuplicateSettings:
    """The newest experiment of that space by its id; none where there is none."""
    if settings.experiment != NEWEST:
        return settings
    return replace(settings, experiment=newest_scorer(workspace, VIEW.name, space_id) or NO_EXPERIMENT)


def pair_neighbours(neighbours: DataFrame, settings: DuplicateSettings) -> DataFrame:
    """Locale, item_id < other_item_id, cosine; a pair that found each other makes two rows."""
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


def build_few_duplicates(settings: DuplicateSettings) -> Callable[[FewInputs], pa.Table] | None:
    if settings.experiment != NO_EXPERIMENT:
        return None  # who scores reads frames
    return partial(pair_in_driver, threshold=settings.threshold, neighbours=settings.neighbours)


def _need(settings: DuplicateSettings) -> NeighbourNeed:
    return NeighbourNeed(k=settings.neighbours, min_cosine=settings.threshold)


RECIPE = ViewRecipe(
    view=VIEW,
    depends_on=("neighbourhood", "group"),  # the group: listings of equal text
    reads=("text_hash",),
    listings=("item_id", "other_item_id"),
    shares=("text_hash",),
    settings=DuplicateSettings(),
    build=build_duplicates,
    build_few=build_few_duplicates,
    search=_need,
    reads_for=lambda settings: () if settings.experiment == NO_EXPERIMENT else DEFAULT_RENDERING.fields,
    pin=pin_experiment,
)
