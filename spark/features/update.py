"""Brings published views up to date with the listings that changed, each view in one commit.

A ``row`` view builds the changed listings anew. The commit is made to the version that readers saw when the work began, or not
at all, so that what is changed is what the change was worked out from.
"""

from collections.abc import Sequence
from typing import Any

from pyspark.sql import SparkSession

from schemas.workspace import Workspace
from spark.delta.rewrite import Rewrite, commit_properties, rewrite_rows
from spark.features.catalogue import conform
from spark.features.changes import ListingChanges, open_changes
from spark.features.publication import FeatureSource, Publication, describe_commit_of, describe_table, source_of, view_path
from spark.features.published import PublishedView
from spark.features.recipe import ViewChange, ViewInputs, ViewRecipe
from spark.features.registry import load_recipes


def update_views(
    spark: SparkSession, workspace: Workspace, publication: Publication
) -> tuple[list[PublishedView], dict[str, str]]:
    """Update all views that changed listings are enough for; and the views that must be built whole after all, with why."""
    views, whole = [], dict(publication.whole)
    for older, names in _by_source(publication).items():
        columns = sorted({column for name in names for column in _columns(publication, name)})
        with open_changes(spark, workspace, older, publication.source, columns) as changes:
            if isinstance(changes, str):
                whole |= dict.fromkeys(names, changes)
            else:
                views += [_update_view(workspace, publication, name, changes) for name in names]
    return views, whole


def _by_source(publication: Publication) -> dict[FeatureSource, list[str]]:
    groups: dict[FeatureSource, list[str]] = {}
    for name, published in publication.updatable.items():
        groups.setdefault(source_of(published), []).append(name)
    return groups


def _columns(publication: Publication, name: str) -> Sequence[str]:
    return load_recipes()[name].columns(publication.settings.of_view(name))


def _update_view(workspace: Workspace, publication: Publication, name: str, changes: ListingChanges) -> PublishedView:
    recipe: ViewRecipe[Any] = load_recipes()[name]
    columns = recipe.columns(publication.settings.of_view(name))
    keys = changes.keys(columns)
    found = keys.count()
    if found:
        change = _build_rows(workspace, publication, recipe, changes)
        made = _commit_change(workspace, publication, name, change)
    else:
        _commit_source(workspace, publication, name)
        made = 0
    return PublishedView(name=name, rows_read=found, rows_made=made, unchanged=False, built="changed" if found else "source")


def _build_rows(workspace: Workspace, publication: Publication, recipe: ViewRecipe[Any], changes: ListingChanges) -> ViewChange:
    settings = publication.settings.of_view(recipe.view.name)
    columns = recipe.columns(settings)
    inputs = ViewInputs(catalogue=changes.newer(columns), space_id=publication.source.space_id, workspace=workspace)
    return ViewChange(keys=changes.keys(columns), rows=recipe.build(inputs, settings))


def _commit_change(workspace: Workspace, publication: Publication, name: str, change: ViewChange) -> int:
    """Returns the rows that came."""
    recipe = load_recipes()[name]
    rewrite = Rewrite(
        path=view_path(workspace, name),
        version=publication.versions[name],
        keys=change.keys,
        on=tuple(("locale", column) for column in recipe.listings),
        rows=conform(change.rows, recipe.view),
    )
    return rewrite_rows(rewrite, describe_commit_of(name, publication.source, publication.settings))


def _commit_source(workspace: Workspace, publication: Publication, name: str) -> None:
    """Say that the rows are those of the newer source, too."""
    metadata = describe_commit_of(name, publication.source, publication.settings)
    properties = describe_table(name, publication.source, publication.settings)
    commit_properties(view_path(workspace, name), publication.versions[name], properties, metadata)
