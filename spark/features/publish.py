"""Builds the stale views of a publication and writes each in one commit."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from pyspark import StorageLevel
from pyspark.sql import DataFrame, SparkSession

from schemas.workspace import Workspace
from spark.delta.log import count_rows
from spark.delta.tables import replace_table
from spark.features.catalogue import conform, join_vectors, read_source, require_space
from spark.features.publication import Publication, describe_commit_of, describe_table, view_path
from spark.features.published import PublishedView
from spark.features.recipe import ViewInputs, ViewRecipe
from spark.features.registry import load_recipes
from spark.features.settings import FeatureSettings
from spark.features.update import update_views
from spark.neighbours import SpaceRows, find_neighbours, measure_space


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
        with _open_catalogue(workspace, listings, embeddings, publication, building) as (inputs, space):
            lanes = plan_lanes(building)
            with ThreadPoolExecutor(len(lanes), thread_name_prefix="m5-publish") as pool:
                written = pool.map(lambda lane: _write_views(workspace, inputs, space, publication, lane), lanes)
                views += [view for lane in written for view in lane]
    return in_order(views, publication)


def skip_views(publication: Publication) -> list[PublishedView]:
    """The views that stay as they are."""
    return [PublishedView(name=name, rows_read=0, rows_made=0, unchanged=True, built="none") for name in publication.current]


def in_order(views: Sequence[PublishedView], publication: Publication) -> list[PublishedView]:
    return sorted(views, key=lambda view: publication.settings.views.index(view.name))


def plan_lanes(views: Sequence[str]) -> list[tuple[str, ...]]:
    """Views that are built one after the other, because they share one neighbour search; every other view by itself."""
    recipes = load_recipes()
    sharing = tuple(name for name in views if recipes[name].needs_neighbours)
    alone: list[tuple[str, ...]] = [(name,) for name in views if name not in sharing]
    return [sharing, *alone] if sharing else alone


@contextmanager
def _open_catalogue(
    workspace: Workspace, listings: DataFrame, embeddings: DataFrame, publication: Publication, views: Sequence[str]
) -> Iterator[tuple[ViewInputs, SpaceRows]]:
    """The catalogue with vectors, kept on the executors' disks where it is read more than once."""
    recipes = [load_recipes()[name] for name in views]
    settings = [publication.settings.of_view(name) for name in views]
    columns = sorted({column for recipe, its in zip(recipes, settings, strict=True) for column in recipe.columns(its)})
    catalogue = join_vectors(listings, embeddings, columns)
    if len(recipes) > 1 or recipes[0].depends_on != ("row",):
        catalogue = catalogue.persist(StorageLevel.DISK_ONLY)
    try:
        space = measure_space(catalogue)
        require_space(space.space_id or measure_space(embeddings).space_id, publication.source.space_id)
        yield ViewInputs(catalogue=catalogue, space_id=publication.source.space_id, workspace=workspace), space
    finally:
        catalogue.unpersist()


def _write_views(
    workspace: Workspace, inputs: ViewInputs, space: SpaceRows, publication: Publication, lane: tuple[str, ...]
) -> list[PublishedView]:
    with _search_neighbours(inputs, space, publication.settings, lane) as searched:
        return [_write_view(workspace, searched, space, publication, name) for name in lane]


def _write_view(
    workspace: Workspace, inputs: ViewInputs, space: SpaceRows, publication: Publication, name: str
) -> PublishedView:
    recipe: ViewRecipe[Any] = load_recipes()[name]
    rows = conform(recipe.build(inputs, publication.settings.of_view(name)), recipe.view)
    path = view_path(workspace, name)
    described = publication.source, publication.settings
    replace_table(rows, path, describe_table(name, *described), describe_commit_of(name, *described))
    because = publication.whole.get(name, "")
    return PublishedView(
        name=name, rows_read=space.rows, rows_made=count_rows(path), unchanged=False, built="whole", because=because
    )


@contextmanager
def _search_neighbours(
    inputs: ViewInputs, space: SpaceRows, settings: FeatureSettings, lane: tuple[str, ...]
) -> Iterator[ViewInputs]:
    """The inputs with the neighbours that the lane's views share, kept on the executors' disks where several read them."""
    if not load_recipes()[lane[0]].needs_neighbours:
        yield inputs
        return
    vectors = inputs.catalogue.select("locale", "item_id", "space_id", "vector")
    neighbours = find_neighbours(vectors, settings.search_for(lane), space)
    if len(lane) > 1:
        neighbours = neighbours.persist(StorageLevel.DISK_ONLY)
    try:
        yield replace(inputs, neighbours=neighbours)
    finally:
        neighbours.unpersist()
