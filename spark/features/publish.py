"""Builds the stale views of a publication and writes each in one commit."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import Any

from pyspark import StorageLevel
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import from_arrow_type

from schemas.embedding import EMBEDDINGS
from schemas.errors import ConfigurationError, SpaceMismatchError
from schemas.features import FeatureView
from schemas.listing import LISTINGS
from schemas.report import JsonValue
from schemas.workspace import Workspace
from spark.delta.log import count_rows
from spark.delta.tables import read_table, replace_table
from spark.features.publication import MADE_BY, Publication, describe_view, view_path
from spark.features.recipe import ViewInputs, ViewRecipe
from spark.features.registry import load_recipes
from spark.features.settings import FeatureSettings
from spark.neighbours import SpaceRows, find_neighbours, measure_space


@dataclass(frozen=True, kw_only=True)
class PublishedView:
    """Holds what became of one view."""

    name: str
    rows_read: int  # listings with a vector; 0 where the view was left as it is
    rows_made: int
    unchanged: bool  # source and settings are those of the published table, so it was not built again

    def as_json(self) -> dict[str, JsonValue]:
        return asdict(self)


def publish_source(spark: SparkSession, workspace: Workspace, publication: Publication) -> list[PublishedView]:
    """``publish_features`` of the workspace's own tables at the versions of the source."""
    source = publication.source
    versions = {LISTINGS.name: source.listings_version, EMBEDDINGS.name: source.embeddings_version}
    listings, embeddings = (
        read_table(spark, workspace.table(name), made_by=MADE_BY[name], version=version) for name, version in versions.items()
    )
    return publish_features(workspace, listings, embeddings.where(F.col("space_id") == source.space_id), publication)


def publish_features(
    workspace: Workspace, listings: DataFrame, embeddings: DataFrame, publication: Publication
) -> list[PublishedView]:
    """Write the stale views, side by side; then say what became of every view.

    ``listings`` and ``embeddings`` are the tables at the versions of the source, the embeddings of its space alone.
    Raises ``SpaceMismatchError`` naming both spaces where they are of another or of several, ``ConfigurationError`` where
    there are none.
    """
    views = skip_views(publication)
    if publication.stale:
        with _open_catalogue(workspace, listings, embeddings, publication) as (inputs, space):
            lanes = plan_lanes(publication.stale)
            with ThreadPoolExecutor(len(lanes), thread_name_prefix="m5-publish") as pool:
                written = pool.map(lambda lane: _write_views(workspace, inputs, space, publication, lane), lanes)
                views += [view for lane in written for view in lane]
    return sorted(views, key=lambda view: publication.settings.views.index(view.name))


def skip_views(publication: Publication) -> list[PublishedView]:
    """The views that stay as they are."""
    return [PublishedView(name=name, rows_read=0, rows_made=0, unchanged=True) for name in publication.current]


def plan_lanes(views: Sequence[str]) -> list[tuple[str, ...]]:
    """Views that are built one after the other, because they share one neighbour search; every other view by itself."""
    recipes = load_recipes()
    sharing = tuple(name for name in views if recipes[name].needs_neighbours)
    alone: list[tuple[str, ...]] = [(name,) for name in views if name not in sharing]
    return [sharing, *alone] if sharing else alone


def join_vectors(listings: DataFrame, embeddings: DataFrame, columns: Sequence[str]) -> DataFrame:
    """The listings that have a vector: locale, item_id, ``columns`` of the listing, space_id, vector."""
    described = listings.select("locale", "item_id", *columns)
    return described.join(embeddings.select("locale", "item_id", "space_id", "vector"), ["locale", "item_id"])


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


@contextmanager
def _open_catalogue(
    workspace: Workspace, listings: DataFrame, embeddings: DataFrame, publication: Publication
) -> Iterator[tuple[ViewInputs, SpaceRows]]:
    """The catalogue with vectors, kept on the executors' disks where it is read more than once."""
    recipes = [load_recipes()[name] for name in publication.stale]
    settings = [publication.settings.of_view(name) for name in publication.stale]
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
    replace_table(rows, path, describe_view(name, publication.source, publication.settings))
    return PublishedView(name=name, rows_read=space.rows, rows_made=count_rows(path), unchanged=False)


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
