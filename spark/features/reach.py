"""How far changed listings reach: the listings whose rows in a view may be others now, and what those rows are built from.

A listing is reached that changed itself, whose neighbours changed or are among the changed ones, or that shares a value with a
changed one which the view groups listings by. More may be reached than need be, never fewer.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from schemas.listing import LISTINGS
from spark.delta.data_rows import join_keys
from spark.features.changes import KEY, ListingChanges
from spark.features.neighbourhood import Neighbourhood
from spark.features.recipe import ViewRecipe
from spark.features.sharing import open_values
from spark.neighbours.list_scan import PairsAsked, explode_lists, find_pairs, is_among
from spark.vectors.top_k import MICRO

Recipe = ViewRecipe[Any]


@dataclass(frozen=True, kw_only=True)
class Reach:
    """Holds what the changes reach."""

    listings: pa.Table  # locale, item_id of the listings reached, each once
    neighbours: pa.Table  # PAIRS of spark.neighbours.list_scan that their rows follow from
    catalogue: pa.Table  # locale, item_id of all listings that they are built from, each once


def reach_listings(
    spark: SparkSession,
    recipe: Recipe,
    settings: Any,
    changes: ListingChanges,
    neighbourhood: Neighbourhood,
    touched: pa.Table,
) -> Reach:
    """``touched``: the lists that the changes touch, see Neighbourhood.touched."""
    listings, columns = changes.files[LISTINGS.name], recipe.columns(settings)
    changed, moved = changes.keys(columns), touched.filter(touched["is_moved"])
    seen = _seen(recipe, settings, neighbourhood)
    pairs = explode_lists(touched, most=seen.most, farthest=seen.farthest)
    beside = pairs.filter(is_among(pairs, ("locale", "neighbour_item_id"), changed))
    parts = [changed, moved.select(KEY), beside.select(KEY)]
    shared = {name: open_values(spark, listings.path, listings.newer, name) for name in recipe.shares}
    for name, column in shared.items():
        values = [side(columns).select(["locale", name]) for side in (changes.older, changes.newer)]
        parts.append(column.find_sharing(pa.concat_tables(values)))
    reached = _distinct(parts)
    if len(recipe.listings) == 1 and not recipe.shares:
        neighbours = pairs.filter(is_among(pairs, KEY, reached))
    else:
        asked = PairsAsked(
            path=neighbourhood.lists.path,
            listings=reached,
            both=len(recipe.listings) > 1,
            most=seen.most,
            farthest=seen.farthest,
        )
        neighbours = find_pairs(spark, neighbourhood.lists.files(), asked)
    others = neighbours.select(["locale", "neighbour_item_id"]).rename_columns(KEY)
    ends = [reached, neighbours.select(KEY), others]
    ends += [column.find_sharing(column.read_values(reached)) for column in shared.values()]
    return Reach(listings=reached, neighbours=neighbours, catalogue=_distinct(ends))


@dataclass(frozen=True, kw_only=True)
class _Seen:
    most: int  # neighbours of a listing
    farthest: int  # distance, rounded up


def _seen(recipe: Recipe, settings: Any, neighbourhood: Neighbourhood) -> _Seen:
    """At least the neighbours that the view asks for."""
    if recipe.search is None:
        return _Seen(most=neighbourhood.seen, farthest=MICRO)
    need = recipe.search(settings)
    return _Seen(most=need.k, farthest=math.ceil(-need.min_cosine * MICRO) + 1)


def _distinct(keys: Sequence[pa.Table]) -> pa.Table:
    return pa.concat_tables([part.select(KEY) for part in keys]).group_by(KEY).aggregate([])


def rank_pairs(pairs: DataFrame, recipe: Recipe, settings: Any) -> DataFrame:
    """The neighbours that the view asks for, as ``find_neighbours`` gives them, of PAIRS of spark.neighbours.list_scan."""
    cosine = (-F.col("distance") / MICRO).alias("cosine")
    neighbours = pairs.select(*KEY, "neighbour_item_id", cosine, "rank")
    if recipe.search is None:
        return neighbours
    need = recipe.search(settings)
    return neighbours.where((F.col("rank") <= need.k) & (F.col("cosine") >= need.min_cosine))


def keep_reached(recipe: Recipe, rows: pa.Table, reached: pa.Table) -> pa.Table:
    """The rows of the view that name one of the listings reached."""
    keys = join_keys(reached)
    marks = [pc.is_in(join_keys(rows, ("locale", name)), keys) for name in recipe.listings]
    return rows.filter(reduce(pc.or_, marks))
