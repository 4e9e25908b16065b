"""Drawing rows by a hash of their key: the same rows on any cluster, whatever the table's layout."""

import math
from collections.abc import Mapping
from functools import reduce

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from schemas.listing import LISTING_KEY
from schemas.training_set import TRAINING_ROWS

_HASH_RANGE = 1 << 60


def draw_rows(listings: DataFrame, counts: Mapping[str, int], available: Mapping[str, int], seed: int) -> DataFrame:
    """Exactly ``counts[language]`` rows of each language: those whose hash of (seed, key) is smallest.

    Only rows below a hash threshold a little above what is needed are sorted, so a small set from a large table is cheap.
    """
    order = _key_hash(seed)
    threshold = reduce(
        lambda rest, language: F.when(
            F.col("language") == language, _threshold(counts[language], available[language])
        ).otherwise(rest),
        counts,
        F.lit(-1),
    )
    near = listings.withColumn("_order", order).where(F.col("_order") < threshold)
    rank = F.row_number().over(Window.partitionBy("language").orderBy("_order", *LISTING_KEY))
    wanted = F.create_map(*[F.lit(item) for pair in counts.items() for item in pair])[F.col("language")]
    return near.withColumn("_rank", rank).where(F.col("_rank") <= wanted).drop("_order", "_rank")


def shape_training_rows(listings: DataFrame) -> DataFrame:
    """The columns of schemas.training_set.TRAINING_ROWS."""
    pairs = F.transform(F.map_entries("attributes"), lambda e: F.struct(e["key"].alias("name"), e["value"].alias("value")))
    attributes = F.array_sort(pairs)
    return listings.withColumn("attributes", attributes).select(*TRAINING_ROWS.column_names)


def _key_hash(seed: int) -> Column:
    return F.pmod(F.xxhash64(F.lit(seed), *LISTING_KEY), F.lit(_HASH_RANGE))


def _threshold(count: int, available: int) -> Column:
    """Hash below which ``count`` of ``available`` rows lie with near certainty: eight standard deviations of room."""
    share = (count + 8 * math.sqrt(count) + 64) / available
    return F.lit(_HASH_RANGE if share >= 1 else int(share * _HASH_RANGE))
