"""Run by the Python of a real Airflow: imports the DAG file and runs the DAG with stand-ins for M5's programs.

    AIRFLOW_HOME=SCRATCH python airflow_check.py DAG_FILE SCRATCH

Prints one JSON object.
"""

import json
import os
import stat
import sys
import threading
import time
from pathlib import Path
from typing import Any

STAND_IN = """#!/bin/sh
echo "starting $0 $*"
[ -f "$M5_HOME/slow" ] && { sleep 60 & echo $! > "$M5_HOME/child"; wait; }
echo '{"job": "'$(basename "$1" .py)'", "run_id": "r", "workspace": "'$M5_WORKSPACE'", "arguments": "'"$*"'"}'
exit $(cat "$M5_HOME/code")
"""
CODES = (0, 1, 2, 3, 4, 137)
EXPERIMENTS = [
    {"partner": "duplicates", "labels": "a", "strategy": "frozen"},
    {"partner": "search", "labels": "b", "strategy": "bm25"},
]


def main(dag_file: str, scratch: Path) -> dict[str, Any]:
    home = _stand_ins(scratch)
    settings = {"HOME": home, "WORKSPACE": "/data/m5", "EXPERIMENTS": json.dumps(EXPERIMENTS), "SITE": "/data/site"}
    os.environ |= {f"AIRFLOW_VAR_M5_{name}": value for name, value in settings.items()} | {"M5_HOME": home}
    from airflow import __version__
    from airflow.dag_processing.dagbag import DagBag

    bag = DagBag(dag_file)
    dag = bag.dags["m5_refresh"]
    return {
        "airflow": __version__,
        "import_errors": len(bag.import_errors),
        "order": {name: sorted(dag.get_task(name).upstream_task_ids) for name in sorted(dag.task_ids)},
        "retries": {name: dag.get_task(name).retries for name in ("ingest", "embed", "publish", "experiment", "site")},
        "raised_by_exit_code": {str(code): _raised(dag.get_task("ingest"), Path(home), code) for code in CODES},
        "killed_with_its_children": _is_killed(dag.get_task("ingest"), Path(home)),
        "run": _run(dag),
        "run_without_experiments_and_site": _run(dag, M5_EXPERIMENTS="[]", M5_SITE=""),
        "run_that_a_gate_refused": _run(dag, code=Path(home, "code")),
    }


def _stand_ins(scratch: Path) -> str:
    programs = scratch / "m5" / ".venv" / "bin"
    programs.mkdir(parents=True)
    for name in ("spark-submit", "python", "m5"):
        (programs / name).write_text(STAND_IN)
        (programs / name).chmod(stat.S_IRWXU)
    (scratch / "m5" / "code").write_text("0")
    return str(scratch / "m5")


def _raised(task: Any, home: Path, code: int) -> str:
    """Name of the exception that a job's exit code becomes; empty for none."""
    from airflow.sdk.exceptions import AirflowException

    (home / "code").write_text(str(code))
    try:
        task.execute({})
    except AirflowException as error:
        return type(error).__name__
    finally:
        (home / "code").write_text("0")
    return ""


def _is_killed(task: Any, home: Path) -> bool:
    """Does on_kill end what the command started, too?"""
    (home / "slow").touch()
    running = threading.Thread(target=_raised, args=(task, home, 0))
    running.start()
    while not (home / "child").exists() or not (home / "child").read_text().strip():
        time.sleep(0.05)
    task.on_kill()
    running.join(20)
    (home / "slow").unlink()
    child = Path("/proc", (home / "child").read_text().strip(), "stat")
    return not running.is_alive() and (not child.exists() or " Z " in child.read_text())


def _run(dag: Any, *, code: Path | None = None, **variables: str) -> dict[str, Any]:
    """States of the tasks of a whole run, and what ingest handed on. ``code``: the file to ask for exit code 4 in."""
    before = dict(os.environ)
    os.environ |= {f"AIRFLOW_VAR_{name}": value for name, value in variables.items()}
    if code is not None:
        code.write_text("4")
    done = dag.test()
    os.environ |= before
    instances = done.get_task_instances()
    handed_on = done.get_task_instance("ingest").xcom_pull(task_ids="ingest")
    states = sorted(f"{one.task_id}{f'[{one.map_index}]' if one.map_index >= 0 else ''} {one.state}" for one in instances)
    return {"state": str(done.state), "tasks": states, "xcom_of_ingest": handed_on}


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], Path(sys.argv[2]))))
