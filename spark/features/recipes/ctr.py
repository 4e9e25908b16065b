"""``features/ctr``: vectors small enough for a click model's input."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from schemas.features import CTR_DIMENSIONS
from spark.vectors.projection import project_vectors


def build_ctr(catalogue: DataFrame, space_id: str) -> DataFrame:
    """The view of schemas.features.CTR. ``catalogue`` holds locale, item_id and vector."""
    projected = project_vectors(catalogue.select("locale", "item_id", "vector"), space_id, CTR_DIMENSIONS, unit_length=False)
    return projected.select("locale", "item_id", F.col("vector").alias("projection"), F.lit(space_id).alias("space_id"))
