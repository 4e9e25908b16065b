"""Drawing rows by a hash of their key: the same rows on any cluster, whatever the table's layout."""

import math
from collections.abc import Mapping
from functools import reduce

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from schemas.listing import LISTING_KEY
from schemas.training_set import TRAINING_ROWS
from spark.sampling.balance import Cell

CELL = ("language", "locale")
_HASH_RANGE = 1 << 60


def draw_rows(listings: DataFrame, wanted: Mapping[Cell, int], available: Mapping[Cell, int], seed: int) -> DataFrame:
    """Exactly ``wanted`` rows of each (language, locale): those whose hash of (seed, key) is smallest.

    Where more is wanted than there is, all rows come as often as they fit, and the first ones once more; ``copy`` counts
    from 0. Only rows below a hash threshold a little above what is needed are sorted, so a small set from a large table is
    cheap.
    """
    whole, rest = _whole_and_rest(wanted, available)
    thresholds = {cell: _threshold(rest[cell], available[cell], whole[cell]) for cell in wanted}
    near = _order_rows(listings, seed).where(F.col("_order") < _by_cell(thresholds))
    rank = F.row_number().over(Window.partitionBy(*CELL).orderBy("_order", *LISTING_KEY))
    copies = _by_cell(whole) + (rank <= _by_cell(rest)).cast("int")
    return _repeat_rows(near, copies)


def draw_tokens(listings: DataFrame, wanted: Mapping[Cell, int], available: Mapping[Cell, int], seed: int) -> DataFrame:
    """As ``draw_rows``, but ``wanted`` and ``available`` are sums of the column ``tokens``.

    A cell gets rows until the next would go beyond; it falls short by less than one row.
    """
    whole, rest = _whole_and_rest(wanted, available)
    so_far = Window.partitionBy(*CELL).orderBy("_order", *LISTING_KEY).rowsBetween(Window.unboundedPreceding, 0)
    copies = _by_cell(whole) + (F.sum("tokens").over(so_far) <= _by_cell(rest)).cast("int")
    return _repeat_rows(_order_rows(listings, seed), copies)


def shape_training_rows(drawn: DataFrame) -> DataFrame:
    """The columns of schemas.training_set.TRAINING_ROWS."""
    pairs = F.transform(F.map_entries("attributes"), lambda e: F.struct(e["key"].alias("name"), e["value"].alias("value")))
    attributes = F.array_sort(pairs)
    return drawn.withColumn("attributes", attributes).select(*TRAINING_ROWS.column_names)


def _whole_and_rest(wanted: Mapping[Cell, int], available: Mapping[Cell, int]) -> tuple[dict[Cell, int], dict[Cell, int]]:
    """How often everything a cell has fits into what is wanted of it, and what is left to draw then."""
    whole = {cell: count // available[cell] for cell, count in wanted.items()}
    return whole, {cell: count % available[cell] for cell, count in wanted.items()}


def _order_rows(listings: DataFrame, seed: int) -> DataFrame:
    """Adds ``_order``: the hash of (seed, key)."""
    return listings.withColumn("_order", F.pmod(F.xxhash64(F.lit(seed), *LISTING_KEY), F.lit(_HASH_RANGE)))


def _repeat_rows(rows: DataFrame, copies: Column) -> DataFrame:
    repeated = rows.withColumn("_copies", copies).where("_copies > 0")
    return repeated.withColumn("copy", F.explode(F.sequence(F.lit(0), F.col("_copies") - 1))).drop("_order", "_copies")


def _by_cell(values: Mapping[Cell, int]) -> Column:
    """The value of a row's cell, 0 where there is none."""
    cell = [F.col(name) for name in CELL]
    return reduce(
        lambda rest, item: F.when((cell[0] == item[0][0]) & (cell[1] == item[0][1]), F.lit(item[1])).otherwise(rest),
        sorted(values.items()),
        F.lit(0),
    )


def _threshold(count: int, available: int, whole: int) -> int:
    """Hash below which ``count`` of ``available`` rows lie with near certainty: eight standard deviations of room."""
    share = (count + 8 * math.sqrt(count) + 64) / available
    return _HASH_RANGE if whole or share >= 1 else int(share * _HASH_RANGE)
