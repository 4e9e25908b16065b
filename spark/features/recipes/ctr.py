"""``features/ctr``: vectors small enough for a click model's input."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from schemas.features import SPACE_ID, FeatureView
from schemas.listing import ITEM_ID, LOCALE
from schemas.tables import VECTOR, Column
from spark.features.recipe import NoSettings, ViewInputs, ViewRecipe
from spark.vectors.projection import project_vectors

DIMENSIONS = 64

VIEW = FeatureView(
    name="ctr",
    owner="click-through-rate",
    description=f"A {DIMENSIONS}-dimension orthogonal projection of the vector, small enough for a click model's input.",
    key=("locale", "item_id"),
    columns=(
        LOCALE,
        ITEM_ID,
        Column(name="projection", type=VECTOR, meaning=f"{DIMENSIONS} dimensions", nullable=False),
        SPACE_ID,
    ),
    freshness_hours=24,
)


def build_ctr(inputs: ViewInputs, _: NoSettings) -> DataFrame:
    """A row per listing of the catalogue."""
    listings = inputs.catalogue.select("locale", "item_id", "vector")
    projected = project_vectors(listings, inputs.space_id, DIMENSIONS, unit_length=False)
    return projected.select("locale", "item_id", F.col("vector").alias("projection"), F.lit(inputs.space_id).alias("space_id"))


RECIPE = ViewRecipe(view=VIEW, depends_on=("row",), reads=(), settings=NoSettings(), build=build_ctr)
