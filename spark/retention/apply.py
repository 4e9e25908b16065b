"""Drops what was planned. Every step can be repeated, so a killed run is simply started again."""

from collections.abc import Sequence

from pyspark.sql import SparkSession

from m5model.features.history import drop_files
from m5model.files import storage
from schemas.workspace import Workspace
from spark.delta.tables import delete_where, vacuum_table
from spark.retention.plan import Drop


def apply_drops(spark: SparkSession, workspace: Workspace, drops: Sequence[Drop]) -> None:
    """Drop everything that no reference keeps. A space's files are deleted later, with the history of embeddings."""
    for drop in drops:
        if not drop.kept_by:
            _apply(spark, workspace, drop)


def _apply(spark: SparkSession, workspace: Workspace, drop: Drop) -> None:
    match drop.subject:
        case "training_set" | "label_set" | "bundle":
            folder = _folder(workspace, drop.what)
            # The manifest first: without it nothing takes the folder for a bundle or a set, even if deleting stops half-way.
            storage.delete_file(f"{folder}/manifest.json")
            storage.delete_folder(folder)
        case "view_state":
            storage.delete_folder(workspace.view_state(drop.what.removeprefix("view_state/")))
        case "space":
            space = drop.what.removeprefix("spaces/")
            delete_where(spark, workspace.table("embeddings"), f"space_id = '{space}'")
        case "rows":
            if drop.before is None:
                raise ValueError(f"{drop} says no instant")
            delete_where(spark, workspace.table(drop.what), f"{drop.column} < timestamp '{drop.before.isoformat()}'")
        case "history" if drop.versions:
            drop_files(workspace.table(drop.what), drop.hours, drop.versions)
        case "history":
            vacuum_table(spark, workspace.table(drop.what), drop.hours)


def _folder(workspace: Workspace, what: str) -> str:
    """Where training_sets/NAME/VERSION, label_sets/NAME/VERSION or bundles/ID lies."""
    kind, *names = what.split("/")
    if kind == "training_sets":
        return workspace.training_set(*names)
    return workspace.label_set(*names) if kind == "label_sets" else workspace.bundle(*names)
