"""The exact sums that a group view is built from: made whole once, then following the listings that change.

They are kept in a table of their own beside the views, whose versions each name the source that they are of. A run that was
killed between the commit of the sums and that of the view is simply repeated: the view looks for the sums of its old source.
"""

from dataclasses import asdict
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession

from m5model.files.delta import open_delta
from schemas.canonical import canonical_json, identify
from schemas.errors import ConfigurationError
from schemas.workspace import Workspace
from spark.delta.changed_files import list_data_files
from spark.delta.data_rows import read_rows
from spark.delta.named_versions import drop_old_files, find_named, rewrite_named, write_named
from spark.features.changes import ListingChanges
from spark.features.publication import FeatureSource
from spark.features.recipe import KeptSums, ViewInputs, ViewRecipe
from spark.features.small_frames import small_frames
from spark.vectors.exact_sums import add_sums, sum_schema, take_off

Recipe = ViewRecipe[Any]


def sum_whole(inputs: ViewInputs, recipe: Recipe, source: FeatureSource) -> DataFrame:
    """The sums over the whole catalogue, kept from now on; those that a killed run made already are taken."""
    spark, path, kept = inputs.catalogue.sparkSession, _path(inputs.require_workspace(), recipe, source), _kept(recipe)
    version = find_named(path, _name(source))
    if version is None:
        version = _write(kept.sum_up(inputs.catalogue), path, source)
    return _read(spark, path, version)


def follow_sums(
    spark: SparkSession, workspace: Workspace, recipe: Recipe, newer: FeatureSource, changes: ListingChanges
) -> DataFrame | str:
    """The sums at the newer source; or why they must be made whole."""
    path = _path(workspace, recipe, newer)
    after = find_named(path, _name(newer))
    if after is None:
        before = find_named(path, _name(changes.source))
        if before is None:
            return "the sums of what it was made from are not kept any more"
        sums = _add_changes(spark, _read_rows(path, before, recipe), recipe, changes)
        rewrite_named(path, before, sums, _name(newer))
        drop_old_files(path)
    else:
        sums = _read_rows(path, after, recipe)
    return small_frames(spark, len(sums)).of(sums)


def _read_rows(path: str, version: int, recipe: Recipe) -> pa.Table:
    schema = sum_schema(_kept(recipe).key)
    rows = (rows for file in list_data_files(open_delta(path, version)) for rows in read_rows(path, file, schema))
    return pa.concat_tables([schema.empty_table(), *rows])


def _add_changes(spark: SparkSession, before: pa.Table, recipe: Recipe, changes: ListingChanges) -> pa.Table:
    kept = _kept(recipe)
    schema = sum_schema(kept.key)
    frames = small_frames(spark, len(changes.listings))
    added, taken = (
        kept.sum_up(frames.of(side(recipe.reads))).toArrow().select(schema.names).cast(schema)
        for side in (changes.newer, changes.older)
    )
    return add_sums(pa.concat_tables([before, added, take_off(taken)]), kept.key)


def _kept(recipe: Recipe) -> KeptSums:
    if recipe.sums is None:
        raise ConfigurationError(f"the recipe of {recipe.view.name} keeps no sums", next_step="give it some")
    return recipe.sums


def _path(workspace: Workspace, recipe: Recipe, source: FeatureSource) -> str:
    decides = {"space": source.space_id, "recipe": recipe.revision}
    return workspace.view_state(f"{recipe.view.name}-{identify(decides)}") + "/sums"


def _name(source: FeatureSource) -> str:
    return canonical_json({"m5": "sums", "source": asdict(source)})


def _read(spark: SparkSession, path: str, version: int) -> DataFrame:
    return spark.read.format("delta").option("versionAsOf", version).load(path)


def _write(sums: DataFrame, path: str, source: FeatureSource) -> int:
    version = write_named(sums, path, _name(source))
    drop_old_files(path)
    return version
