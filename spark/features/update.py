"""Brings published views up to date with the listings that changed, each view in one commit.

A ``row`` view builds the changed listings anew; a ``neighbourhood`` view those that they reach, see spark.features.reach; a
view of sums all, from sums that follow the changes, because a changed sum can reach any row. A commit is made to the version
that readers saw when the work began, or not at all: what is changed is what the change was worked out from.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

from pyspark.sql import DataFrame, SparkSession

from schemas.workspace import Workspace
from spark.delta.log import count_rows
from spark.delta.rewrite import Rewrite, commit_properties, rewrite_rows
from spark.delta.tables import replace_table
from spark.features.catalogue import conform, join_vectors, read_source
from spark.features.changes import ListingChanges, find_changes
from spark.features.lanes import plan_lanes
from spark.features.neighbourhood import Neighbourhood, follow_neighbours
from spark.features.publication import FeatureSource, Publication, describe_commit_of, describe_table, source_of, view_path
from spark.features.published import PublishedView
from spark.features.reach import keep_reached, part_catalogue, part_neighbours, reach_listings, see_neighbours
from spark.features.recipe import ViewChange, ViewInputs, ViewRecipe
from spark.features.registry import load_recipes
from spark.features.sums import follow_sums


@dataclass(frozen=True, kw_only=True)
class Update:
    """Holds what the views of one older source are updated from."""

    spark: SparkSession
    workspace: Workspace
    publication: Publication
    changes: ListingChanges

    def settings(self, name: str) -> Any:
        return self.publication.settings.of_view(name)


def update_views(
    spark: SparkSession, workspace: Workspace, publication: Publication
) -> tuple[list[PublishedView], dict[str, str]]:
    """Update all views that changed listings are enough for; and the views that must be built whole after all, with why."""
    views, whole = [], dict(publication.whole)
    for older, names in _by_source(publication).items():
        columns = sorted({column for name in names for column in _columns(publication, name)})
        follow_from = publication.settings.follow_from
        changes = find_changes(spark, workspace, older, publication.source, columns, follow_from=follow_from)
        if isinstance(changes, str):
            whole |= dict.fromkeys(names, changes)
            continue
        update = Update(spark=spark, workspace=workspace, publication=publication, changes=changes)
        for updated, refused in _run_lanes(update, names):
            views += updated
            whole |= refused
    return views, whole


Lane = tuple[list[PublishedView], dict[str, str]]


def _run_lanes(update: Update, names: Sequence[str]) -> list[Lane]:
    lanes = plan_lanes(names)
    with ThreadPoolExecutor(len(lanes), thread_name_prefix="m5-update") as pool:
        return list(pool.map(lambda lane: _update_lane(update, lane), lanes))


def _update_lane(update: Update, lane: Sequence[str]) -> Lane:
    recipe = load_recipes()[lane[0]]
    if recipe.sums:
        return _update_sums(update, recipe)
    if not recipe.needs_neighbours:
        return [_update_view(update, name, None) for name in lane], {}
    settings, newer = update.publication.settings, update.publication.source
    found = follow_neighbours(update.spark, update.workspace, settings, newer, update.changes)
    if isinstance(found, str):
        return [], dict.fromkeys(lane, found)
    return [_update_view(update, name, found) for name in lane], {}


def _by_source(publication: Publication) -> dict[FeatureSource, list[str]]:
    groups: dict[FeatureSource, list[str]] = {}
    for name, published in publication.updatable.items():
        groups.setdefault(source_of(published), []).append(name)
    # The newest first: the kept neighbours are those of the newest source, and lead on from there.
    newest_first = sorted(groups, key=lambda source: (source.embeddings_version, source.listings_version), reverse=True)
    return {source: groups[source] for source in newest_first}


def _columns(publication: Publication, name: str) -> Sequence[str]:
    return load_recipes()[name].columns(publication.settings.of_view(name))


def _update_sums(update: Update, recipe: ViewRecipe[Any]) -> Lane:
    """A view of sums: a changed sum can reach every row, so all rows are built, from sums that follow the changes."""
    name, source = recipe.view.name, update.publication.source
    sums = follow_sums(update.spark, update.workspace, recipe, source, update.changes)
    if isinstance(sums, str):
        return [], {name: sums}
    settings = update.settings(name)
    columns = recipe.columns(settings)
    if update.changes.keys(columns).isEmpty():
        return [_update_view(update, name, None)], {}
    listings, embeddings = read_source(update.spark, update.workspace, source)
    catalogue = join_vectors(listings, embeddings, columns, broadcast=True)
    rows = conform(recipe.build(replace(_inputs(update, catalogue, None), sums=sums), settings), recipe.view)
    path, described = view_path(update.workspace, name), (source, update.publication.settings)
    replace_table(rows, path, describe_table(name, *described), describe_commit_of(name, *described))
    made = count_rows(path)
    return [PublishedView(name=name, rows_read=made, rows_made=made, unchanged=False, built="sums")], {}


def _update_view(update: Update, name: str, neighbourhood: Neighbourhood | None) -> PublishedView:
    recipe: ViewRecipe[Any] = load_recipes()[name]
    columns = recipe.columns(update.settings(name))
    if update.changes.keys(columns).isEmpty():
        _commit_source(update, name)
        return PublishedView(name=name, rows_read=0, rows_made=0, unchanged=False, built="source")
    change = _work_out(update, recipe, neighbourhood)
    _commit_change(update, name, change)
    return PublishedView(
        name=name, rows_read=change.keys.count(), rows_made=change.rows.count(), unchanged=False, built="changed"
    )


def _work_out(update: Update, recipe: ViewRecipe[Any], neighbourhood: Neighbourhood | None) -> ViewChange:
    """What becomes of the view, held by the executors."""
    settings = update.settings(recipe.view.name)
    columns = recipe.columns(settings)
    if neighbourhood is None:
        rows = recipe.build(_inputs(update, update.changes.newer(columns), None), settings)
        return _held(recipe, update.changes.keys(columns), rows)
    listings, embeddings = read_source(update.spark, update.workspace, update.publication.source)
    neighbours = see_neighbours(recipe, settings, neighbourhood.ranked(update.spark))
    moved = neighbourhood.changed(update.spark)
    reached = reach_listings(recipe, settings, update.changes, neighbours, moved, listings).localCheckpoint()
    part = part_neighbours(recipe, neighbours, reached).localCheckpoint()
    catalogue = part_catalogue(recipe, settings, listings, embeddings, reached, part)
    rows = recipe.build(_inputs(update, catalogue, part), settings)
    return _held(recipe, reached, keep_reached(recipe, rows, reached))


def _inputs(update: Update, catalogue: DataFrame, neighbours: DataFrame | None) -> ViewInputs:
    space_id = update.publication.source.space_id
    return ViewInputs(catalogue=catalogue, space_id=space_id, workspace=update.workspace, neighbours=neighbours)


def _held(recipe: ViewRecipe[Any], keys: DataFrame, rows: DataFrame) -> ViewChange:
    return ViewChange(keys=keys, rows=conform(rows, recipe.view).localCheckpoint())


def _commit_change(update: Update, name: str, change: ViewChange) -> None:
    publication = update.publication
    rewrite = Rewrite(
        path=view_path(publication.target, name),
        version=publication.versions[name],
        keys=change.keys,
        on=tuple(("locale", column) for column in load_recipes()[name].listings),
        rows=change.rows,
    )
    rewrite_rows(rewrite, describe_commit_of(name, publication.source, publication.settings))


def _commit_source(update: Update, name: str) -> None:
    """Say that the rows are those of the newer source, too."""
    described = name, update.publication.source, update.publication.settings
    path, version = view_path(update.publication.target, name), update.publication.versions[name]
    commit_properties(path, version, describe_table(*described), describe_commit_of(*described))
