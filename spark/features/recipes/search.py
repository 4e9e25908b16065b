"""``features/search``: unit vectors for a nearest neighbour index."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from schemas.features import SPACE_ID, FeatureView
from schemas.listing import ITEM_ID, LOCALE
from schemas.tables import TEXT, VECTOR, Column
from spark.features.recipe import NoSettings, ViewInputs, ViewRecipe
from spark.vectors.projection import project_vectors

DIMENSIONS = 256

VIEW = FeatureView(
    name="search",
    owner="semantic-search",
    description=f"{DIMENSIONS}-dimension unit vectors for a nearest neighbour index; inner product is cosine.",
    key=("locale", "item_id"),
    columns=(
        LOCALE,
        ITEM_ID,
        Column(name="language", type=TEXT, meaning="language of the listing"),
        Column(name="vector", type=VECTOR, unit="unit length", meaning=f"{DIMENSIONS} dimensions", nullable=False),
        SPACE_ID,
    ),
    freshness_hours=24,
)


def build_search(inputs: ViewInputs, _: NoSettings) -> DataFrame:
    """A row per listing of the catalogue."""
    listings = inputs.catalogue.select("locale", "item_id", "language", "vector")
    projected = project_vectors(listings, inputs.space_id, DIMENSIONS, unit_length=True)
    return projected.withColumn("space_id", F.lit(inputs.space_id))


RECIPE = ViewRecipe(view=VIEW, depends_on=("row",), reads=("language",), settings=NoSettings(), build=build_search)
