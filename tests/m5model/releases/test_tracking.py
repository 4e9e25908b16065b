import subprocess
import sys
from pathlib import Path

import pytest

from m5model.releases.tracking import log_run, redact

LOG = """
import sys
from m5model.releases.tracking import log_run
print(log_run(sys.argv[1], "jobs", sys.argv[2], {"seed": 1}, {"loss": 0.5}))
"""


def test_processes_that_start_at_once_on_a_fresh_database_all_log_their_run(tmp_path: Path) -> None:
    pytest.importorskip("mlflow")
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    started = [
        subprocess.Popen(
            [sys.executable, "-c", LOG, uri, f"run-{i}"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for i in range(3)
    ]
    assert [process.communicate()[0].strip() for process in started] == ["()"] * 3

    from mlflow import MlflowClient

    client = MlflowClient(uri)
    runs = client.search_runs([client.get_experiment_by_name("jobs").experiment_id])
    assert sorted(run.info.run_name for run in runs) == ["run-0", "run-1", "run-2"]
    assert {(run.data.params["seed"], run.data.metrics["loss"], run.info.status) for run in runs} == {("1", 0.5, "FINISHED")}


def test_without_mlflow_there_is_a_warning_and_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mlflow", None)
    monkeypatch.setitem(sys.modules, "mlflow.exceptions", None)
    assert log_run("sqlite://", "jobs", "run", {}, {}) == ("run run was not logged to MLflow: mlflow is not installed",)


def test_a_database_that_cannot_be_reached_is_a_warning_without_its_password(tmp_path: Path) -> None:
    pytest.importorskip("mlflow")
    (warning,) = log_run("unknown://user:secret@host/db", "jobs", "run", {}, {})
    assert "secret" not in warning
    assert "unknown://***@host/db" in warning


def test_credentials_are_cut_out_of_any_uri() -> None:
    assert (
        redact("from postgresql://me:p@ss@host:5432/db to s3a://bucket/key")
        == "from postgresql://***@host:5432/db to s3a://bucket/key"
    )
