"""``features/ctr``: vectors small enough for a click model's input."""

from collections.abc import Callable

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from schemas.features import SPACE_ID, FeatureView
from schemas.listing import ITEM_ID, LOCALE
from schemas.tables import VECTOR, Column
from spark.features.recipe import FewInputs, NoSettings, ViewInputs, ViewRecipe
from spark.vectors.projection import map_column, project_vectors, projection

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


def build_few_ctr(_: NoSettings) -> Callable[[FewInputs], pa.Table]:
    return _project_few


def _project_few(inputs: FewInputs) -> pa.Table:
    rows = inputs.catalogue
    change = projection(inputs.space_id, DIMENSIONS, unit_length=False)
    columns = [rows["locale"], rows["item_id"], map_column(rows["vector"].combine_chunks(), change)]
    return pa.table([*columns, pa.repeat(inputs.space_id, len(rows))], names=["locale", "item_id", "projection", "space_id"])


RECIPE = ViewRecipe(view=VIEW, depends_on=("row",), reads=(), settings=NoSettings(), build=build_ctr, build_few=build_few_ctr)
