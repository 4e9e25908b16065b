"""Says what a search must know of its vectors beforehand: that they are of one space, and how many there are of each locale."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from schemas.space import ComparableSpaces


@dataclass(frozen=True, kw_only=True)
class SpaceRows:
    """The one vector space of some embeddings, and their rows by locale."""

    space_id: str | None  # None where there is no row; of several that are one by evidence, the first
    by_locale: Mapping[str, int]

    @property
    def rows(self) -> int:
        return sum(self.by_locale.values())


def measure_space(embeddings: DataFrame, comparable: ComparableSpaces | None = None) -> SpaceRows:
    """Count rows by locale and look at ``space_id`` (one Spark job).

    Raises ``SpaceMismatchError`` naming two of the spaces where there are several that ``comparable`` does not say are one.
    """
    found = embeddings.groupBy("locale", "space_id").agg(F.count(F.lit(1)).alias("rows")).collect()
    names = sorted({row["space_id"] for row in found})
    (comparable or ComparableSpaces()).require_one(names)
    by_locale: Counter[str] = Counter()
    for row in found:
        by_locale[row["locale"]] += row["rows"]
    return SpaceRows(space_id=names[0] if names else None, by_locale=by_locale)
