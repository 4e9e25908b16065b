"""Tracking on a real PostgreSQL, started for the test. Skipped, by name, where it is not installed."""

import subprocess
import sys
from collections.abc import Iterator

import pytest

from benchmarks.inputs.postgresql import postgresql


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    """The tracking URI of a fresh database on loopback."""
    try:
        with postgresql() as uri:
            yield uri
    except FileNotFoundError:
        pytest.skip("PostgreSQL is not installed")


def test_processes_that_start_at_once_all_log_their_run_to_postgresql(database: str) -> None:
    log = "print(log_run(sys.argv[1], 'm5', sys.argv[2], {'a': 1}, {'loss': 2.5}))"
    code = f"import sys; from m5model.releases.tracking import log_run; {log}"
    command = [sys.executable, "-c", code, database]
    processes = [subprocess.Popen([*command, f"run-{i}"], stdout=subprocess.PIPE, text=True) for i in range(2)]
    assert [process.communicate()[0].strip() for process in processes] == ["()", "()"]
    from mlflow import MlflowClient

    client = MlflowClient(database)
    runs = client.search_runs([client.get_experiment_by_name("m5").experiment_id])
    assert sorted(run.info.run_name for run in runs) == ["run-0", "run-1"]
    assert {run.data.metrics["loss"] for run in runs} == {2.5}
