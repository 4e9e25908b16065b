"""Tracking on a real PostgreSQL, started for the test. Skipped, by name, where it is not installed."""

import glob
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

BINARIES = next(iter(sorted(glob.glob("/usr/lib/postgresql/*/bin"), reverse=True)), None) or str(
    Path(shutil.which("initdb") or "/nonexistent/initdb").parent
)

pytestmark = pytest.mark.skipif(not Path(BINARIES, "initdb").exists(), reason="PostgreSQL is not installed")


def _as_server_user(*command: str) -> None:
    """PostgreSQL refuses to run as root; Debian's package brings the user postgres."""
    prefix = ["runuser", "-u", "postgres", "--"] if os.getuid() == 0 else []
    subprocess.run([*prefix, *command], check=True, capture_output=True, text=True, cwd="/")


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    """The tracking URI of a fresh database on loopback."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    folder = tempfile.mkdtemp(prefix="m5-postgresql-")
    if os.getuid() == 0:
        shutil.chown(folder, "postgres")
    data = f"{folder}/data"
    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder} -c fsync=off"
    _as_server_user(f"{BINARIES}/initdb", "-D", data, "-U", "m5", "--auth=trust", "-E", "UTF8")
    _as_server_user(f"{BINARIES}/pg_ctl", "-D", data, "-w", "-l", f"{folder}/log", "-o", options, "start")
    _as_server_user(f"{BINARIES}/createdb", "-h", "127.0.0.1", "-p", str(port), "-U", "m5", "m5")
    yield f"postgresql://m5:secret@127.0.0.1:{port}/m5"
    _as_server_user(f"{BINARIES}/pg_ctl", "-D", data, "-m", "immediate", "stop")
    shutil.rmtree(folder, ignore_errors=True)


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
