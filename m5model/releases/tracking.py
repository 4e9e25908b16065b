"""Log one run to MLflow: parameters, metrics, tags. Nothing else calls MLflow's tracking; without it, or without its database,
a warning is all that happens, because the figures are in the bundle's manifest and in the job's report as well.
"""

import fcntl
import hashlib
import os
import re
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from m5model.files.caches import cache_folder
from m5model.releases.tracking_sqlite import SQLITE, empty_database, log_to_sqlite
from schemas.workspace import Workspace


def tracking_uri_of(flag: str | None, workspace: Workspace) -> str | None:
    """The database that a flag, else $MLFLOW_TRACKING_URI, else a local workspace names; None for no tracking."""
    uri = flag or os.environ.get("MLFLOW_TRACKING_URI")
    if uri == "none":
        return None
    if uri:
        return uri
    return None if workspace.is_remote else f"{SQLITE}{workspace.root}/mlflow.db"


def log_run(
    tracking_uri: str,
    experiment: str,
    run_name: str,
    params: Mapping[str, str | int | float],
    metrics: Mapping[str, float],
    tags: Mapping[str, str] | None = None,
) -> tuple[str, ...]:
    """Log one finished run; returns warnings, none where all went well.

    ``tracking_uri`` is a database (``sqlite:///FILE``, ``postgresql://…``) or an MLflow server. User names and passwords in
    it, or in a parameter, are never logged.
    """
    shown = {name: redact(str(value)) for name, value in params.items()}
    marks = {name: redact(value) for name, value in (tags or {}).items()}
    if log_to_sqlite(tracking_uri, experiment, run_name, shown, metrics, marks):
        return ()
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    try:
        from mlflow.exceptions import MlflowException
        from sqlalchemy.exc import SQLAlchemyError
    except ImportError:
        return (f"run {run_name} was not logged to MLflow: mlflow is not installed",)
    try:
        _log(tracking_uri, experiment, run_name, shown, metrics, marks)
    except (MlflowException, SQLAlchemyError, OSError, ModuleNotFoundError) as error:  # the last: no driver
        return (f"run {run_name} was not logged to {redact(tracking_uri)}: {redact(str(error))}",)
    return ()


def redact(text: str) -> str:
    """The text without what stands between ``://`` and ``@`` in its URIs."""
    return re.sub(r"://[^/\s]*@", "://***@", text)


def _log(
    tracking_uri: str,
    experiment: str,
    run_name: str,
    params: Mapping[str, str],
    metrics: Mapping[str, float],
    tags: Mapping[str, str],
) -> None:
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Param, RunTag

    with alone_with(tracking_uri):
        client = MlflowClient(tracking_uri)
        experiment_id = _experiment_id(client, experiment)
    run_id = client.create_run(experiment_id, run_name=run_name).info.run_id
    now = int(time.time() * 1_000)
    client.log_batch(
        run_id,
        metrics=[Metric(name, float(value), now, 0) for name, value in metrics.items()],
        params=[Param(name, value) for name, value in params.items()],
        tags=[RunTag(name, value) for name, value in tags.items()],
    )
    client.set_terminated(run_id)


def _experiment_id(client, experiment: str) -> str:  # type: ignore[no-untyped-def]  # mlflow is imported lazily
    """The experiment's id; the first call on a fresh database makes MLflow's schema."""
    found = client.get_experiment_by_name(experiment)
    return found.experiment_id if found else client.create_experiment(experiment)


def make_empty_database() -> None:
    """Make the database that ``tracking_sqlite`` copies, unless it is there. Called by `make setup`."""
    made = empty_database()
    if made.exists():
        return
    from mlflow import MlflowClient

    made.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=made.parent) as scratch:
        fresh = Path(scratch) / made.name
        MlflowClient(f"{SQLITE}{fresh}").search_experiments()
        fresh.replace(made)


@contextmanager
def alone_with(tracking_uri: str) -> Iterator[None]:
    """One process of this machine at a time: of four that make the schema of a fresh SQLite file at once, three fail."""
    with _lock_file(tracking_uri).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _lock_file(tracking_uri: str) -> Path:
    """Beside an SQLite file, else in the user's cache: where whoever may not write the one cannot touch the other."""
    database = tracking_uri.removeprefix(SQLITE).partition("?")[0]
    if tracking_uri.startswith(SQLITE) and database and ":memory:" not in database:
        return Path(f"{database}.lock")
    folder = cache_folder() / "locks"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder / f"mlflow-{hashlib.sha256(tracking_uri.encode()).hexdigest()[:16]}.lock"
