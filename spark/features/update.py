"""Brings published views up to date with the listings that changed, each view in one commit.

A ``row`` view builds the changed listings anew; a ``neighbourhood`` view those that they reach, see spark.features.reach; a
view of sums all, from sums that follow the changes, because a changed sum can reach any row. A commit is made to the version
that readers saw when the work began, or not at all: what is changed is what the change was worked out from.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from m5model.files.delta import open_delta
from schemas.embedding import EMBEDDINGS
from schemas.listing import LISTINGS
from schemas.workspace import Workspace
from spark.delta.changed_files import list_data_files
from spark.delta.data_rows import to_frame
from spark.delta.log import count_rows
from spark.delta.rewrite import (
    Rewrite,
    add_action,
    clear_leftovers,
    commit_files,
    commit_properties,
    name_prefix,
    rewrite_rows,
)
from spark.delta.tables import replace_table
from spark.features.catalogue import conform, join_vectors, read_source
from spark.features.changed_rows import read_catalogue
from spark.features.changes import KEY, ListingChanges, find_changes
from spark.features.lanes import plan_lanes
from spark.features.neighbourhood import Neighbourhood, follow_neighbours
from spark.features.publication import FeatureSource, Publication, describe_commit_of, describe_table, source_of, view_path
from spark.features.published import PublishedView
from spark.features.reach import Reach, keep_reached, rank_pairs, reach_listings
from spark.features.recipe import FewInputs, ViewInputs, ViewRecipe
from spark.features.registry import load_recipes
from spark.features.scoring import Scored, describe_listings, write_scored
from spark.features.small_frames import small_frames
from spark.features.sums import follow_sums

MOST_DESCRIBED = 2_000_000  # listings whose columns, vectors aside, every worker holds: some 200 MB
MOST_ROWS = 200_000  # listings that the driver holds for a view: some 300 MB with vectors


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
    touched = found.touched(update.spark, update.changes.listings)
    with ThreadPoolExecutor(len(lane), thread_name_prefix="m5-update") as pool:
        return list(pool.map(lambda name: _update_view(update, name, (found, touched)), lane)), {}


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
    if not len(update.changes.keys(columns)):
        return [_update_view(update, name, None)], {}
    made = _rebuild(update, recipe, sums)
    return [PublishedView(name=name, rows_read=made, rows_made=made, unchanged=False, built="sums")], {}


def _rebuild(update: Update, recipe: ViewRecipe[Any], sums: DataFrame) -> int:
    """Write all rows of a view of sums anew; returns how many."""
    name, publication, settings = recipe.view.name, update.publication, update.settings(recipe.view.name)
    path, described = view_path(publication.target, name), (publication.source, publication.settings)
    if recipe.sums is None or count_rows(update.workspace.table(LISTINGS.name)) > MOST_DESCRIBED:
        listings, embeddings = read_source(update.spark, update.workspace, publication.source)
        catalogue = join_vectors(listings, embeddings, recipe.columns(settings), broadcast=True)
        rows = conform(recipe.build(replace(_inputs(update, catalogue, None), sums=sums), settings), recipe.view)
        replace_table(rows, path, describe_table(name, *described), describe_commit_of(name, *described))
        return count_rows(path)
    table, prefix = open_delta(path, publication.versions[name]), name_prefix(publication.versions[name] + 1)
    clear_leftovers(path, publication.versions[name] + 1)
    vectors = update.changes.files[EMBEDDINGS.name]
    scored = Scored(
        vectors_path=vectors.path,
        space_id=publication.source.space_id,
        listings=describe_listings(update.spark, update.changes.files[LISTINGS.name], recipe, recipe.sums),
        path=path,
        prefix=prefix,
        schema=_plain_schema(recipe),
    )
    written = write_scored(update.spark, vectors.newer, recipe.sums.make_rows(sums, settings), scored)
    removed = [file.path for file in list_data_files(table)]
    commit_files(table, path, [add_action(file) for file in written], removed, describe_commit_of(name, *described))
    return sum(file.rows for file in written)


Neighbours = tuple[Neighbourhood, pa.Table]  # and the lists that the changes touch


def _update_view(update: Update, name: str, neighbours: Neighbours | None) -> PublishedView:
    recipe: ViewRecipe[Any] = load_recipes()[name]
    columns = recipe.columns(update.settings(name))
    if not len(update.changes.keys(columns)):
        _commit_source(update, name)
        return PublishedView(name=name, rows_read=0, rows_made=0, unchanged=False, built="source")
    keys, rows = _work_out(update, recipe, neighbours)
    _commit_change(update, name, keys, rows)
    return PublishedView(name=name, rows_read=len(keys), rows_made=len(rows), unchanged=False, built="changed")


def _work_out(update: Update, recipe: ViewRecipe[Any], neighbours: Neighbours | None) -> tuple[pa.Table, pa.Table]:
    """Locale, item_id of listings whose rows go, and the rows that come in their place."""
    settings, changes = update.settings(recipe.view.name), update.changes
    columns = recipe.columns(settings)
    if neighbours is None:
        newer = changes.newer(columns)
        rows = _build_few(update, recipe, newer, None)
        if rows is None:
            rows = _build(recipe, _inputs(update, small_frames(update.spark, len(newer)).of(newer), None), settings)
        return changes.keys(columns), rows
    reach = reach_listings(update.spark, recipe, settings, changes, *neighbours)
    rows = _build_reached(update, recipe, reach)
    return reach.listings, keep_reached(recipe, rows, reach.listings)


def _build_reached(update: Update, recipe: ViewRecipe[Any], reach: Reach) -> pa.Table:
    """Rows of the reached listings, and of some beside."""
    settings, space_id = update.settings(recipe.view.name), update.publication.source.space_id
    columns = recipe.columns(settings)
    if len(reach.catalogue) > MOST_ROWS:
        pairs = rank_pairs(to_frame(update.spark, reach.neighbours), recipe, settings)
        return _build(recipe, _inputs(update, _part_catalogue(update, columns, reach.catalogue), pairs), settings)
    files, vectors = update.changes.files, recipe.vectors
    catalogue = read_catalogue(update.spark, files, columns, reach.catalogue, space_id, vectors=vectors)
    rows = _build_few(update, recipe, catalogue, reach.neighbours)
    if rows is None:
        frames = small_frames(update.spark, len(catalogue))
        pairs = rank_pairs(frames.of(reach.neighbours), recipe, settings)
        rows = _build(recipe, _inputs(update, frames.of(catalogue), pairs), settings)
    return rows


def _build_few(update: Update, recipe: ViewRecipe[Any], catalogue: pa.Table, neighbours: pa.Table | None) -> pa.Table | None:
    """The rows, without a plan of Spark; None where the recipe has no such way for its settings."""
    build = recipe.build_few(update.settings(recipe.view.name)) if recipe.build_few else None
    if build is None:
        return None
    inputs = FewInputs(
        spark=update.spark,
        workspace=update.workspace,
        catalogue=catalogue,
        neighbours=neighbours,
        space_id=update.publication.source.space_id,
    )
    schema = _plain_schema(recipe)
    return build(inputs).select(schema.names).cast(schema)


def _part_catalogue(update: Update, columns: Sequence[str], keys: pa.Table) -> DataFrame:
    """The rows of the catalogue with these keys, which are too many for the driver."""
    wanted = F.broadcast(to_frame(update.spark, keys))
    listings, embeddings = read_source(update.spark, update.workspace, update.publication.source)
    return join_vectors(listings.join(wanted, KEY, "left_semi"), embeddings.join(wanted, KEY, "left_semi"), columns)


def _build(recipe: ViewRecipe[Any], inputs: ViewInputs, settings: Any) -> pa.Table:
    rows, schema = conform(recipe.build(inputs, settings), recipe.view).toArrow(), _plain_schema(recipe)
    return rows.select(schema.names).cast(schema)


def _plain_schema(recipe: ViewRecipe[Any]) -> pa.Schema:
    """The columns of the view, without what they mean."""
    return pa.schema([pa.field(field.name, field.type) for field in recipe.view.table().arrow_schema()])


def _inputs(update: Update, catalogue: DataFrame, neighbours: DataFrame | None) -> ViewInputs:
    space_id = update.publication.source.space_id
    return ViewInputs(catalogue=catalogue, space_id=space_id, workspace=update.workspace, neighbours=neighbours)


def _commit_change(update: Update, name: str, keys: pa.Table, rows: pa.Table) -> None:
    publication = update.publication
    rewrite = Rewrite(
        path=view_path(publication.target, name),
        version=publication.versions[name],
        keys=keys.select(KEY),
        on=tuple(("locale", column) for column in load_recipes()[name].listings),
        rows=rows,
    )
    rewrite_rows(update.spark, rewrite, describe_commit_of(name, publication.source, publication.settings))


def _commit_source(update: Update, name: str) -> None:
    """Say that the rows are those of the newer source, too."""
    described = name, update.publication.source, update.publication.settings
    path, version = view_path(update.publication.target, name), update.publication.versions[name]
    commit_properties(path, version, describe_table(*described), describe_commit_of(*described))
