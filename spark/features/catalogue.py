"""The catalogue that views are made from: listings with their vectors of one space."""

from collections.abc import Sequence

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import from_arrow_type

from schemas.embedding import EMBEDDINGS
from schemas.errors import ConfigurationError, SpaceMismatchError
from schemas.features import FeatureView
from schemas.listing import LISTINGS
from schemas.workspace import Workspace
from spark.delta.tables import read_table
from spark.features.publication import MADE_BY, FeatureSource


def read_source(spark: SparkSession, workspace: Workspace, source: FeatureSource) -> tuple[DataFrame, DataFrame]:
    """The listings, and the embeddings of the space, at the versions of the source."""
    versions = {LISTINGS.name: source.listings_version, EMBEDDINGS.name: source.embeddings_version}
    listings, embeddings = (
        read_table(spark, workspace.table(name), made_by=MADE_BY[name], version=version) for name, version in versions.items()
    )
    return listings, embeddings.where(F.col("space_id") == source.space_id)


def join_vectors(listings: DataFrame, embeddings: DataFrame, columns: Sequence[str], *, broadcast: bool = False) -> DataFrame:
    """The listings that have a vector: locale, item_id, ``columns`` of the listing, space_id, vector, and
    the bucket that it lies in, where the embeddings say it.

    ``broadcast``: every task gets the listings, where they are few enough, so that vectors need not be shuffled.
    """
    vectors = [name for name in ("locale", "item_id", "space_id", "vector", "bucket") if name in embeddings.columns]
    described = listings.select("locale", "item_id", *columns)
    return embeddings.select(*vectors).join(F.broadcast(described) if broadcast else described, ["locale", "item_id"])


def conform(rows: DataFrame, view: FeatureView) -> DataFrame:
    """The columns as declared: order, types, and the meaning as the column's comment."""
    return rows.select(
        *(
            F.col(column.name).cast(from_arrow_type(column.type)).alias(column.name, metadata={"comment": column.meaning})
            for column in view.columns
        )
    )


def require_space(found: str | None, space_id: str) -> None:
    """Raise ``SpaceMismatchError`` unless the space found is ``space_id``, ``ConfigurationError`` where there is none."""
    if found is None:
        raise ConfigurationError(f"there are no embeddings of space {space_id}", next_step="run jobs/embed_catalog.py")
    if found != space_id:
        raise SpaceMismatchError(
            f"features of space {space_id} cannot be made from vectors of space {found}",
            next_step="give the embeddings of that space, or publish the space that they are of",
        )
