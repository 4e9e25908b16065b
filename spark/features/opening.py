"""Opens the whole catalogue for views that are built whole."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from pyspark import StorageLevel
from pyspark.sql import DataFrame

from schemas.workspace import Workspace
from spark.features.catalogue import join_vectors, require_space
from spark.features.publication import Publication
from spark.features.recipe import ViewInputs
from spark.features.registry import load_recipes
from spark.neighbours import SpaceRows, measure_space


@contextmanager
def open_catalogue(
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
