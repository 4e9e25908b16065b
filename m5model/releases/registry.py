"""An MLflow registry that follows the releases: a version for each bundle that an alias names, and the aliases.

The releases of the workspace are what holds; the registry is brought up to them, and again after a kill.
"""

import logging
import os
import tempfile
from pathlib import Path
from typing import Any

from m5model.bundles.find import find_bundle
from m5model.bundles.released import newest_release, read_evidence
from m5model.releases.tracking import alone_with, redact
from m5model.releases.tracking_sqlite import SQLITE, copy_empty_database
from schemas.release import ReleaseRecord
from schemas.workspace import Workspace

MODEL = "m5-student"
EXPERIMENT = "m5-releases"
BUNDLE_TAG = "m5_bundle"
ARTIFACT = "model"
ALIASES = ("candidate", "champion", "previous")
EXAMPLE = ["red cotton shirt"]


def follow_releases(workspace: Workspace, tracking_uri: str | None, model: str = MODEL) -> tuple[str, ...]:
    """Bring the registry up to the newest release; returns warnings, none where all went well.

    ``tracking_uri`` is what m5model.releases.tracking takes; None for no registry. Registered models are code and the bundle's
    files, see m5model.releases.pyfunc, with a signature and an example.
    """
    newest = newest_release(workspace)
    if tracking_uri is None or newest is None:
        return ()
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    logging.getLogger("mlflow").setLevel(logging.WARNING)
    try:
        from mlflow import MlflowClient
        from mlflow.exceptions import MlflowException
        from sqlalchemy.exc import SQLAlchemyError
    except ImportError:
        return ("the MLflow registry was not brought up to the releases: mlflow is not installed",)
    try:
        with alone_with(tracking_uri):
            if tracking_uri.startswith(SQLITE):
                copy_empty_database(Path(tracking_uri.removeprefix(SQLITE)))
            _follow(MlflowClient(tracking_uri, tracking_uri), workspace, newest, model)
    except (MlflowException, SQLAlchemyError, OSError, ModuleNotFoundError) as error:
        return (f"the registry {redact(tracking_uri)} was not brought up to the releases: {redact(str(error))}",)
    return ()


def _follow(client: Any, workspace: Workspace, newest: ReleaseRecord, model: str) -> None:
    if not client.search_registered_models(f"name = '{model}'"):
        client.create_registered_model(
            model, description="Students of M5; releases/ of the workspace says which alias names which."
        )
    named = newest.aliases.named()
    for alias in ALIASES:
        if alias in named:
            client.set_registered_model_alias(model, alias, _version(client, workspace, newest, model, named[alias].bundle))
        elif alias in client.get_registered_model(model).aliases:
            client.delete_registered_model_alias(model, alias)


def _version(client: Any, workspace: Workspace, newest: ReleaseRecord, model: str, bundle: str) -> str:
    """The version of the bundle, registered if it is not."""
    for known in client.search_model_versions(f"name = '{model}'"):
        if known.tags.get(BUNDLE_TAG) == bundle:
            return str(known.version)
    run = client.create_run(_experiment(client, workspace), run_name=bundle)
    with tempfile.TemporaryDirectory() as scratch:
        from m5model.releases.pyfunc import save_pyfunc

        folder = Path(scratch) / ARTIFACT
        save_pyfunc(find_bundle(workspace, bundle, "student"), str(folder), example=EXAMPLE)
        client.log_artifacts(run.info.run_id, str(folder), ARTIFACT)
    _log_evidence(client, workspace, newest, run.info.run_id)
    client.set_terminated(run.info.run_id)
    source = f"{run.info.artifact_uri}/{ARTIFACT}"
    made = client.create_model_version(model, source, run.info.run_id, tags={BUNDLE_TAG: bundle})
    return str(made.version)


def _experiment(client: Any, workspace: Workspace) -> str:
    found = client.get_experiment_by_name(EXPERIMENT)
    if found is not None:
        return str(found.experiment_id)
    place = workspace.registered_models.replace("s3a://", "s3://")
    return str(client.create_experiment(EXPERIMENT, artifact_location=place))


def _log_evidence(client: Any, workspace: Workspace, newest: ReleaseRecord, run_id: str) -> None:
    if newest.evidence is None:
        return
    for figure in read_evidence(workspace, newest.evidence).figures:
        if figure.value is not None:
            client.log_metric(run_id, figure.name, float(figure.value))
