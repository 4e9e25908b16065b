"""How far changed listings reach: the listings whose rows in a view may be others now, and what those rows are built from.

A listing is reached that changed itself, whose neighbours changed or are among the changed ones, or that shares a value with a
changed one which the view groups listings by. More may be reached than need be, never fewer.
"""

from collections.abc import Sequence
from functools import reduce
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from spark.features.catalogue import join_vectors
from spark.features.changes import KEY, ListingChanges
from spark.features.recipe import ViewRecipe

Recipe = ViewRecipe[Any]


def reach_listings(
    recipe: Recipe, settings: Any, changes: ListingChanges, neighbours: DataFrame, moved: DataFrame, listings: DataFrame
) -> DataFrame:
    """Locale, item_id of the listings reached, each once.

    ``neighbours``: those that the view sees, now; ``moved``: keys of the listings whose neighbours are others now.
    """
    columns = recipe.columns(settings)
    changed = changes.keys(columns)
    beside = neighbours.join(
        F.broadcast(changed.toDF("locale", "neighbour_item_id")), ["locale", "neighbour_item_id"], "left_semi"
    )
    parts = [changed, moved, beside.select(*KEY)]
    parts += [_sharing(name, columns, changes, listings) for name in recipe.shares]
    return reduce(DataFrame.unionByName, parts).distinct()


def _sharing(name: str, columns: Sequence[str], changes: ListingChanges, listings: DataFrame) -> DataFrame:
    """Keys of the listings that have a value in common with a changed one, as it was or as it is."""
    values = (side.select("locale", name) for side in (changes.older(columns), changes.newer(columns)))
    return _with_value(name, reduce(DataFrame.unionByName, values), listings)


def _with_value(name: str, values: DataFrame, listings: DataFrame) -> DataFrame:
    """Keys of the listings with one of the values (locale, ``name``)."""
    return listings.select(*KEY, name).join(F.broadcast(values.distinct()), ["locale", name], "left_semi").select(*KEY)


def see_neighbours(recipe: Recipe, settings: Any, neighbours: DataFrame) -> DataFrame:
    """The neighbours that the view asks for."""
    if recipe.search is None:
        return neighbours
    need = recipe.search(settings)
    return neighbours.where((F.col("rank") <= need.k) & (F.col("cosine") >= need.min_cosine))


def keep_reached(recipe: Recipe, rows: DataFrame, reached: DataFrame) -> DataFrame:
    """The rows that name one of the listings reached. ``rows``: of the view, or neighbours under the names of its columns."""
    marks = [f"m5_{number}" for number in range(len(recipe.listings))]
    for mark, name in zip(marks, recipe.listings, strict=True):
        keys = F.broadcast(reached.toDF("locale", name).withColumn(mark, F.lit(True)))
        rows = rows.join(keys, ["locale", name], "left")
    return rows.where(reduce(lambda one, other: one | other, (F.col(mark).isNotNull() for mark in marks))).drop(*marks)


def part_neighbours(recipe: Recipe, neighbours: DataFrame, reached: DataFrame) -> DataFrame:
    """The neighbours that rows of the listings reached follow from."""
    if len(recipe.listings) == 1:
        return neighbours.join(F.broadcast(reached), KEY, "left_semi")
    mine = F.broadcast(reached.withColumn("mine", F.lit(True)))
    theirs = F.broadcast(reached.toDF("locale", "neighbour_item_id").withColumn("theirs", F.lit(True)))
    marked = neighbours.join(mine, KEY, "left").join(theirs, ["locale", "neighbour_item_id"], "left")
    return marked.where("mine is not null or theirs is not null").select(*neighbours.columns)


def part_catalogue(
    recipe: Recipe, settings: Any, listings: DataFrame, embeddings: DataFrame, reached: DataFrame, neighbours: DataFrame
) -> DataFrame:
    """The listings reached, their neighbours, and all that share a value with a listing reached, as rows of a catalogue."""
    ends = [reached, neighbours.select(*KEY), neighbours.select("locale", F.col("neighbour_item_id").alias("item_id"))]
    for name in recipe.shares:
        own = listings.join(F.broadcast(reached), KEY, "left_semi").select("locale", name)
        ends.append(_with_value(name, own, listings))
    keys = F.broadcast(reduce(DataFrame.unionByName, ends).distinct().localCheckpoint())
    part, vectors = (table.join(keys, KEY, "left_semi") for table in (listings, embeddings))
    return join_vectors(part, vectors, recipe.columns(settings))
