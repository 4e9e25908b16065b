"""What a search must know of its vectors beforehand: that they are of one space, and how many there are of each locale."""

from collections.abc import Mapping
from dataclasses import dataclass

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from schemas.errors import SpaceMismatchError


@dataclass(frozen=True, kw_only=True)
class SpaceRows:
    """The one vector space of some embeddings, and their rows by locale."""

    space_id: str | None  # None where there is no row
    by_locale: Mapping[str, int]

    @property
    def rows(self) -> int:
        return sum(self.by_locale.values())


def measure_space(embeddings: DataFrame) -> SpaceRows:
    """Count rows by locale and look at ``space_id`` (one Spark job).

    Raises ``SpaceMismatchError`` naming two of the spaces where there are several.
    """
    spaces = [F.min("space_id").alias("low"), F.max("space_id").alias("high"), F.count(F.lit(1)).alias("rows")]
    found = embeddings.groupBy("locale").agg(*spaces).collect()
    names = sorted({row[side] for row in found for side in ("low", "high")})
    if len(names) > 1:
        raise SpaceMismatchError(
            f"vectors of the spaces {names[0]} and {names[-1]} cannot be compared",
            next_step="keep the rows of one space_id, e.g. embeddings.where(embeddings.space_id == ID)",
        )
    return SpaceRows(space_id=names[0] if names else None, by_locale={row["locale"]: row["rows"] for row in found})
