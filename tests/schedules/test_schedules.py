"""The files of schedules/: what they run are jobs and flags that there are, refusals are not retried, reports are handed on."""

import contextlib
import importlib.util
import io
import json
import os
import stat
import subprocess
import sys
import threading
import time
import types
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from m5model.cli import _parser

ROOT = Path(__file__).parents[2]
SCHEDULES = ROOT / "schedules"
BUNDLE: dict[str, Any] = yaml.safe_load((SCHEDULES / "databricks" / "databricks.yml").read_text())
APPLICATIONS: dict[str, Any] = {
    file.stem: yaml.safe_load(file.read_text()) for file in (SCHEDULES / "spark-operator").glob("*.yaml")
}
PROGRAM = '#!/bin/sh\necho starting "$@"\n[ -f slow ] && { sleep 60 & echo $! > child; wait; }\ncat report\nexit $(cat code)\n'


class Failed(Exception):
    """Stands for an exception of Airflow."""


class FailedForGood(Failed):
    """Stands for the one after which Airflow does not retry."""


class Operator:
    """Has what the DAG file takes of Airflow's BaseOperator."""

    log = types.SimpleNamespace(info=lambda *_: None)

    def __init__(self, *, task_id: str, **settings: Any) -> None:
        self.task_id, self.settings = task_id, settings

    @classmethod
    def partial(cls, **_: Any) -> Any:
        return types.SimpleNamespace(expand=lambda **_: cls(task_id="mapped", command=[]))  # type: ignore[call-arg]

    def __rshift__(self, other: Any) -> Any:
        return other


@pytest.fixture
def dag_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[types.ModuleType]:
    """The DAG file, imported beside stand-ins for what it takes of Airflow; m5_home is ``tmp_path``."""
    variables = {"m5_home": str(tmp_path), "m5_workspace": "/data/m5"}
    sdk: Any = types.ModuleType("airflow.sdk")
    sdk.DAG = lambda *_, **__: contextlib.nullcontext()
    sdk.BaseOperator = Operator
    sdk.Variable = types.SimpleNamespace(get=lambda name, default=None, **_: variables.get(name, default))
    sdk.task = lambda **_: lambda _: lambda: None
    exceptions: Any = types.ModuleType("airflow.sdk.exceptions")
    exceptions.AirflowException, exceptions.AirflowFailException = Failed, FailedForGood
    for name, module in {
        "airflow": types.ModuleType("airflow"),
        "airflow.sdk": sdk,
        "airflow.sdk.exceptions": exceptions,
    }.items():
        monkeypatch.setitem(sys.modules, name, module)
    spec = importlib.util.spec_from_file_location("m5_refresh", SCHEDULES / "airflow" / "m5_refresh.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """A stand-in for spark-submit: prints the file ``report``, ends with the exit code in the file ``code``."""
    place = tmp_path / ".venv" / "bin" / "spark-submit"
    place.parent.mkdir(parents=True)
    place.write_text(PROGRAM)
    place.chmod(stat.S_IRWXU)
    (tmp_path / "code").write_text("0")
    (tmp_path / "report").write_text('{"job": "ingest_catalog"}\n')
    return tmp_path


@pytest.mark.parametrize(
    ("code", "raised"), [(1, Failed), (2, FailedForGood), (3, FailedForGood), (4, FailedForGood), (137, Failed)]
)
def test_refusals_fail_for_good_and_everything_else_is_tried_again(dag_file, program: Path, code: int, raised: type) -> None:
    (program / "code").write_text(str(code))
    with pytest.raises(Failed) as failure:
        dag_file.ingest.execute({})
    assert failure.type is raised


def test_the_report_on_the_last_line_is_handed_on(dag_file, program: Path) -> None:
    assert dag_file.embed.execute({}) == {"job": "ingest_catalog"}
    (program / "report").write_text("no report\n")
    assert dag_file.embed.execute({}) == {"last_line": "no report"}
    long = {"job": "ingest_catalog", "report": "/r.json", "accounting": {"rows_in": 1}, "accounts": ["a" * 100] * 1_000}
    (program / "report").write_text(json.dumps(long) + "\n\n")
    assert dag_file.embed.execute({}) == {"job": "ingest_catalog", "report": "/r.json", "accounting": {"rows_in": 1}}


def test_a_task_that_is_killed_takes_what_it_started_with_it(dag_file, program: Path) -> None:
    (program / "slow").touch()
    raised: list[Failed] = []

    def run() -> None:
        try:
            dag_file.publish.execute({})
        except Failed as error:
            raised.append(error)

    running = threading.Thread(target=run)
    running.start()
    child = program / "child"
    while not child.exists() or not child.read_text().strip():
        time.sleep(0.01)
    dag_file.publish.on_kill()
    running.join(20)
    assert len(raised) == 1, "a retry may follow"
    state = Path("/proc", child.read_text().strip(), "stat")
    assert not state.exists() or " Z " in state.read_text()


def test_an_experiment_is_a_command_of_its_own(dag_file) -> None:
    commands = dag_file.list_experiments([{"partner": "duplicates", "labels": "a", "strategy": "frozen"}])
    assert commands == [
        ["python", "jobs/run_partner_experiment.py", "--partner", "duplicates", "--labels", "a", "--strategy", "frozen"]
    ]
    _require_flags(commands[0][1], commands[0][2:])


def test_airflow_runs_jobs_that_there_are(dag_file) -> None:
    for job in (dag_file.ingest, dag_file.embed, dag_file.publish):
        _require_flags(job.command[1], ["--feed", "x"] if job.feeds else [])
    assert "plan_site" in (SCHEDULES / "airflow" / "m5_refresh.py").read_text()
    assert _parser().parse_args(["report", "--json", "--out", "x"]).command == "report"


def _databricks_tasks() -> list[Mapping[str, Any]]:
    return [task for job in BUNDLE["resources"]["jobs"].values() for task in job["tasks"]]


@pytest.mark.parametrize("task", _databricks_tasks(), ids=lambda task: task["task_key"])
def test_databricks_runs_jobs_and_flags_that_there_are_and_retries_none(task: Mapping[str, Any]) -> None:
    program = task["spark_python_task"]
    _require_flags(program["python_file"].removeprefix("../../"), program["parameters"])
    assert task["max_retries"] == 0
    job = next(one for one in BUNDLE["resources"]["jobs"].values() if task in one["tasks"])
    assert task["job_cluster_key"] in {cluster["job_cluster_key"] for cluster in job["job_clusters"]}


def test_databricks_names_only_variables_that_it_declares() -> None:
    text = (SCHEDULES / "databricks" / "databricks.yml").read_text()
    used = {part.split("}")[0] for part in text.split("${var.")[1:]}
    assert used == set(BUNDLE["variables"])


@pytest.mark.parametrize("name", sorted(APPLICATIONS))
def test_kubernetes_runs_jobs_and_flags_that_there_are_and_restarts_none(name: str) -> None:
    spec = APPLICATIONS[name]["spec"]
    spec = spec.get("template", spec)
    _require_flags(spec["mainApplicationFile"].removeprefix("local:///opt/m5/"), spec["arguments"])
    assert spec["restartPolicy"] == {"type": "Never"}


def _require_flags(job: str, arguments: Sequence[str]) -> None:
    """The job's own help names every flag."""
    assert (ROOT / job).is_file(), job
    spec = importlib.util.spec_from_file_location(Path(job).stem, ROOT / job)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    said = io.StringIO()
    with contextlib.redirect_stdout(said), pytest.raises(SystemExit):
        module.main(["--help"])
    for flag in (argument for argument in arguments if argument.startswith("--")):
        assert f"{flag} " in said.getvalue(), (job, flag)


AIRFLOW, MODELS = (os.environ.get(name, "") for name in ("M5_AIRFLOW_PYTHON", "M5_SCHEDULE_MODELS_PYTHON"))


@pytest.mark.skipif(
    not (AIRFLOW and MODELS), reason="no real Airflow here: M5_AIRFLOW_PYTHON and M5_SCHEDULE_MODELS_PYTHON name the Pythons"
)
def test_a_real_airflow_runs_the_dag_and_the_resources_fit_their_models() -> None:
    command = [sys.executable, str(ROOT / "benchmarks" / "schedules.py"), "--airflow", AIRFLOW, "--models", MODELS]
    found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])
    airflow, models = found["airflow"], found["models"]
    assert airflow["import_errors"] == 0
    assert {code for code, name in airflow["raised_by_exit_code"].items() if name == "AirflowFailException"} == {"2", "3", "4"}
    assert [airflow[f"run{which}"]["state"] for which in ("", "_without_experiments_and_site", "_that_a_gate_refused")] == [
        "success",
        "success",
        "failed",
    ]
    assert not any(models["faults"].values())
    assert models["planted_and_found"] == models["planted"] > 0
