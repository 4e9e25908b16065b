"""Log a run into MLflow's SQLite database without MLflow, whose import costs a small job as much as a third of its work.

It writes the rows that MLflow's client writes, and only where it knows them: a file of SCHEMA, names and values that MLflow
takes without a second look. Everything else is left to the client. A test compares both.
"""

import math
import os
import posixpath
import re
import shutil
import sqlite3
import sys
import time
import uuid
from collections.abc import Iterable, Mapping
from contextlib import closing, suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

SCHEMA = "dc11669786a5"  # the revision of MLflow 3.17's tables; another one is left to MLflow's client
SQLITE = "sqlite:///"  # what the address of such a database begins with
BUSY_SECONDS = 30.0
# MLflow's own limits for one call and for one value.
MAX_METRICS, MAX_PARAMS, MAX_CHARACTERS = 1_000, 100, 250
NAMES = re.compile(r"[/\w.\- :]+")


def log_to_sqlite(
    tracking_uri: str,
    experiment: str,
    run_name: str,
    params: Mapping[str, str],
    metrics: Mapping[str, float],
    tags: Mapping[str, str],
) -> bool:
    """Log one finished run. False, and nothing written, where only MLflow's client can do it."""
    file = tracking_uri.removeprefix(SQLITE)
    if file == tracking_uri or not file or re.search(r"[%?#]", file) or not _are_plain(experiment, params, metrics, tags):
        return False
    try:
        copy_empty_database(Path(file))
        with closing(sqlite3.connect(f"{Path(file).absolute().as_uri()}?mode=rw", uri=True, timeout=BUSY_SECONDS)) as database:
            return _log(database, experiment, run_name, params, metrics, {**tags, "mlflow.runName": run_name})
    except (sqlite3.Error, OSError, PackageNotFoundError):
        return False


def _are_plain(experiment: str, params: Mapping[str, str], metrics: Mapping[str, float], tags: Mapping[str, str]) -> bool:
    """True where MLflow would neither refuse, shorten nor replace any name or value."""
    names: Iterable[str] = (experiment, *params, *metrics, *tags)
    return (
        all(NAMES.fullmatch(name) and posixpath.normpath(name) == name and name[0] not in "./" for name in names)
        and all(len(text) <= MAX_CHARACTERS for text in (*names, *params.values(), *tags.values()))
        and all(math.isfinite(value) for value in metrics.values())
        and len(metrics) <= MAX_METRICS
        and max(len(params), len(tags)) <= MAX_PARAMS
    )


def empty_database() -> Path:
    """Returns where `make setup` keeps an empty database of the installed MLflow, which takes some seconds to make one."""
    return Path(sys.prefix) / "share" / "m5" / f"mlflow-{version('mlflow')}.db"


def copy_empty_database(file: Path) -> None:
    """Copy the empty database to where there is no file yet. Of several processes one is first, and all see a whole file."""
    if file.exists() or not empty_database().exists():
        return
    fresh = file.with_name(f".{file.name}-{uuid.uuid4().hex}")
    try:
        shutil.copyfile(empty_database(), fresh)
        with closing(sqlite3.connect(fresh)) as database, database:
            database.execute(
                "UPDATE experiments SET artifact_location = ? WHERE experiment_id = 0", (f"{Path.cwd()}/mlruns/0",)
            )
        with suppress(FileExistsError):
            os.link(fresh, file)
    finally:
        fresh.unlink(missing_ok=True)


def _log(
    database: sqlite3.Connection,
    experiment: str,
    run_name: str,
    params: Mapping[str, str],
    metrics: Mapping[str, float],
    tags: Mapping[str, str],
) -> bool:
    if database.execute("SELECT version_num FROM alembic_version").fetchall() != [(SCHEMA,)]:
        return False
    run, now = uuid.uuid4().hex, int(time.time() * 1_000)
    with database:  # one transaction
        database.execute("BEGIN IMMEDIATE")
        found = _experiment(database, experiment, now)
        if found is None:
            return False
        experiment_id, artifacts = found
        database.execute(
            "INSERT INTO runs (run_uuid, name, source_type, source_name, entry_point_name, user_id, status, start_time, "
            "end_time, source_version, lifecycle_stage, artifact_uri, experiment_id) "
            "VALUES (?, ?, 'UNKNOWN', '', '', 'unknown', 'FINISHED', ?, ?, '', 'active', ?, ?)",
            (run, run_name, now, now, f"{artifacts}/{run}/artifacts", experiment_id),
        )
        for table in ("metrics", "latest_metrics"):
            database.executemany(
                f"INSERT INTO {table} (key, value, timestamp, run_uuid, step, is_nan) VALUES (?, ?, ?, ?, 0, 0)",
                [(name, value, now, run) for name, value in metrics.items()],
            )
        for table, values in (("params", params), ("tags", tags)):
            database.executemany(
                f"INSERT INTO {table} (key, value, run_uuid) VALUES (?, ?, ?)",
                [(name, value, run) for name, value in values.items()],
            )
    return True


def _experiment(database: sqlite3.Connection, name: str, now: int) -> tuple[int, str] | None:
    """Id and artifact folder of the experiment, made beside the default one where there is none; None where it is deleted."""
    query = "SELECT experiment_id, artifact_location, lifecycle_stage FROM experiments WHERE workspace = 'default' AND name = ?"
    found = database.execute(query, (name,)).fetchone()
    if found is not None:
        return (int(found[0]), str(found[1])) if found[2] == "active" else None
    default = database.execute("SELECT artifact_location FROM experiments WHERE experiment_id = 0").fetchone()
    if default is None:
        return None
    made = database.execute(
        "INSERT INTO experiments (name, artifact_location, lifecycle_stage, creation_time, last_update_time, workspace) "
        "VALUES (?, '', 'active', ?, ?, 'default')",
        (name, now, now),
    )
    artifacts = f"{posixpath.dirname(default[0])}/{made.lastrowid}"
    database.execute("UPDATE experiments SET artifact_location = ? WHERE experiment_id = ?", (artifacts, made.lastrowid))
    return int(made.lastrowid or 0), artifacts
