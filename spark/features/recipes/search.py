"""``features/search``: unit vectors for a nearest neighbour index."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from schemas.features import SEARCH_DIMENSIONS
from spark.vectors.projection import project_vectors


def build_search(catalogue: DataFrame, space_id: str) -> DataFrame:
    """The view of schemas.features.SEARCH. ``catalogue`` holds locale, item_id, language and vector."""
    columns = catalogue.select("locale", "item_id", "language", "vector")
    projected = project_vectors(columns, space_id, SEARCH_DIMENSIONS, unit_length=True)
    return projected.withColumn("space_id", F.lit(space_id))
