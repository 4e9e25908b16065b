"""Runs written straight into MLflow's SQLite file, against those that MLflow's client writes."""

import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from m5model.releases import tracking, tracking_sqlite

pytest.importorskip("mlflow")

RUN = ({"workspace": "/a b/c", "seed": 1}, {"rows_per_s": 12.5, "accounting.rows_in": 3}, {"kind": "student"})


@pytest.fixture(scope="module")
def fresh_database(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """An empty database as this MLflow makes it."""
    with pytest.MonkeyPatch.context() as patch:
        file = tmp_path_factory.mktemp("empty") / "empty.db"
        patch.setattr(tracking, "empty_database", lambda: file)
        tracking.make_empty_database()
        return file.read_bytes()


def _rows(file: Path) -> dict[str, list[str]]:
    """All rows by table, with run ids and times blanked out."""
    with closing(sqlite3.connect(file)) as database:
        tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {
            name: sorted(re.sub(r"[0-9a-f]{32}|\b\d{13}\b", "*", str(row)) for row in database.execute(f"SELECT * FROM {name}"))
            for name in tables
        }


def _log(file: Path) -> tuple[str, ...]:
    return tracking.log_run(f"sqlite:///{file}", "embed_catalog", "run", *RUN)


@pytest.fixture
def without_client(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, fresh_database: bytes) -> Callable[[], None]:
    def forbid() -> None:
        def refuse(*_: object) -> None:
            raise OSError("the client was called")

        monkeypatch.setattr(tracking, "_log", refuse)

    kept = tmp_path / "kept.db"
    kept.write_bytes(fresh_database)
    monkeypatch.setattr(tracking_sqlite, "empty_database", lambda: kept)
    monkeypatch.chdir(tmp_path)
    return forbid


def test_a_run_written_directly_leaves_the_rows_that_mlflows_client_leaves(
    tmp_path: Path, without_client: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(tracking, "log_to_sqlite", lambda *_: False)
        assert _log(tmp_path / "client.db") == ()
    without_client()
    assert _log(tmp_path / "direct.db") == ()
    assert _rows(tmp_path / "direct.db") == _rows(tmp_path / "client.db")


@pytest.mark.parametrize(
    ("experiment", "params", "metrics"),
    [
        ("jobs", {}, {"loss": float("nan")}),
        ("jobs", {}, {"loss": float("inf")}),
        ("jobs", {"text": "x" * 300}, {}),
        ("jobs", {"a//b": "x"}, {}),
        ("jobs", {}, {"größe*": 1.0}),
        ("jobs", {}, {f"metric_{i}": 1.0 for i in range(1_001)}),
        ("../jobs", {}, {}),
    ],
)
def test_what_mlflow_would_look_at_twice_is_left_to_its_client(
    tmp_path: Path, without_client: Callable[[], None], experiment: str, params: dict[str, str], metrics: dict[str, float]
) -> None:
    assert not tracking_sqlite.log_to_sqlite(f"sqlite:///{tmp_path}/x.db", experiment, "run", params, metrics, {})
    assert not (tmp_path / "x.db").exists()


def test_a_file_of_another_schema_or_none_at_all_is_left_to_mlflows_client(
    tmp_path: Path, without_client: Callable[[], None]
) -> None:
    other = tmp_path / "other.db"
    other.write_bytes((tmp_path / "kept.db").read_bytes())
    with closing(sqlite3.connect(other)) as database, database:
        database.execute("UPDATE alembic_version SET version_num = 'later'")
    before = other.read_bytes()
    (tmp_path / "text.db").write_text("no database")
    for uri in (f"sqlite:///{other}", f"sqlite:///{tmp_path}/text.db", "sqlite://", "postgresql://u:p@h/db", "https://h"):
        assert not tracking_sqlite.log_to_sqlite(uri, "jobs", "run", {}, {"loss": 1.0}, {})
    assert other.read_bytes() == before


def test_a_deleted_experiment_is_left_to_mlflows_client(tmp_path: Path, without_client: Callable[[], None]) -> None:
    assert _log(tmp_path / "runs.db") == ()
    with closing(sqlite3.connect(tmp_path / "runs.db")) as database, database:
        database.execute("UPDATE experiments SET lifecycle_stage = 'deleted'")
    assert not tracking_sqlite.log_to_sqlite(f"sqlite:///{tmp_path}/runs.db", "embed_catalog", "run", {}, {}, {})
