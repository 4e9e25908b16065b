"""Builds the stale views of a publication and writes each in one commit."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from pyspark.sql import DataFrame, SparkSession

from schemas.workspace import Workspace
from spark.delta.log import count_rows
from spark.delta.tables import replace_table
from spark.features.catalogue import conform, read_source
from spark.features.lanes import plan_lanes
from spark.features.neighbourhood import search_whole
from spark.features.opening import open_catalogue
from spark.features.publication import Publication, describe_commit_of, describe_table, view_path
from spark.features.published import PublishedView
from spark.features.recipe import ViewInputs, ViewRecipe
from spark.features.registry import load_recipes
from spark.features.sums import sum_whole
from spark.features.update import update_views
from spark.neighbours import SpaceRows


def publish_source(spark: SparkSession, workspace: Workspace, publication: Publication) -> list[PublishedView]:
    """Bring the stale views up to date from the workspace's own tables at the versions of the source.

    Views that changed listings are enough for are updated; the others are built whole, see ``publish_features``.
    """
    updated, whole = update_views(spark, workspace, publication)
    rest = replace(publication, whole=whole, updatable={})
    listings, embeddings = read_source(spark, workspace, publication.source)
    built = publish_features(workspace, listings, embeddings, rest)
    return in_order([*updated, *built], publication)


def publish_features(
    workspace: Workspace, listings: DataFrame, embeddings: DataFrame, publication: Publication
) -> list[PublishedView]:
    """Write the views that are built whole, and those that could be updated likewise, side by side; say what became of each.

    ``listings`` and ``embeddings`` are the tables at the versions of the source, the embeddings of its space alone.
    Raises ``SpaceMismatchError`` naming both spaces where they are of another or of several, ``ConfigurationError`` where
    there are none.
    """
    views = skip_views(publication)
    building = tuple(name for name in publication.stale if name in publication.whole or name in publication.updatable)
    if building:
        with open_catalogue(workspace, listings, embeddings, publication, building) as (inputs, space):
            lanes = plan_lanes(building)
            with ThreadPoolExecutor(len(lanes), thread_name_prefix="m5-publish") as pool:
                written = pool.map(lambda lane: _write_views(inputs, space, publication, lane), lanes)
                views += [view for lane in written for view in lane]
    return in_order(views, publication)


def skip_views(publication: Publication) -> list[PublishedView]:
    """The views that stay as they are."""
    return [PublishedView(name=name, rows_read=0, rows_made=0, unchanged=True, built="none") for name in publication.current]


def in_order(views: Sequence[PublishedView], publication: Publication) -> list[PublishedView]:
    return sorted(views, key=lambda view: publication.settings.views.index(view.name))


def _write_views(inputs: ViewInputs, space: SpaceRows, publication: Publication, lane: tuple[str, ...]) -> list[PublishedView]:
    if load_recipes()[lane[0]].needs_neighbours:
        neighbours, cells = search_whole(inputs, space, publication.source, publication.settings)
        inputs = replace(inputs, neighbours=neighbours)
        publication = replace(publication, settings=replace(publication.settings, cells=cells))
    return [_write_view(inputs, space, publication, name) for name in lane]


def _write_view(inputs: ViewInputs, space: SpaceRows, publication: Publication, name: str) -> PublishedView:
    recipe: ViewRecipe[Any] = load_recipes()[name]
    if recipe.sums:
        inputs = replace(inputs, sums=sum_whole(inputs, recipe, publication.source))
    rows = conform(recipe.build(inputs, publication.settings.of_view(name)), recipe.view)
    path = view_path(publication.target, name)
    described = publication.source, publication.settings
    replace_table(rows, path, describe_table(name, *described), describe_commit_of(name, *described))
    because = publication.whole.get(name, "")
    return PublishedView(
        name=name, rows_read=space.rows, rows_made=count_rows(path), unchanged=False, built="whole", because=because
    )
