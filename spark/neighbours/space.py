"""Vectors compare only within one space: this is where a mixture is refused."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from schemas.errors import SpaceMismatchError


def require_one_space(*embeddings: DataFrame) -> str | None:
    """The one ``space_id`` of all rows of all ``embeddings``, None where there is no row (one Spark job each).

    Raises ``SpaceMismatchError`` naming two of the spaces where there are several.
    """
    found: set[str] = set()
    for frame in embeddings:
        row = frame.agg(F.min("space_id").alias("low"), F.max("space_id").alias("high")).first()
        found |= {space for space in (row or ()) if space is not None}
    if len(found) > 1:
        first, *_, last = sorted(found)
        raise SpaceMismatchError(
            f"vectors of the spaces {first} and {last} cannot be compared",
            next_step="keep the rows of one space_id, e.g. embeddings.where(embeddings.space_id == ID)",
        )
    return next(iter(found), None)
