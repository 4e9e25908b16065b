"""Do the files of schedules/ work with what they are for? A real Airflow runs the DAG, models check the resources.

    python benchmarks/schedules.py [--airflow PYTHON] [--models PYTHON]

Each check runs in an environment of its own, which pip makes for the purpose (about 2 minutes and 700 MB) and which goes
afterwards, unless the Python of one is given. In Airflow, stand-ins take the place of spark-submit, python and m5: what is
checked is what Airflow makes of exit codes and reports. The last line of stdout is one JSON object.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import venv
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
AIRFLOW = ("apache-airflow==3.3.2",)
MODELS = ("databricks-bundles==1.22.1", "kubeflow-spark-api==2.4.0", "PyYAML==6.0.3")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--airflow", help=f"Python with {', '.join(AIRFLOW)}")
    parser.add_argument("--models", help=f"Python with {', '.join(MODELS)}")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        airflow = check_airflow(arguments.airflow or install(Path(scratch, "airflow"), AIRFLOW), Path(scratch, "run"))
        models = check_models(arguments.models or install(Path(scratch, "models"), MODELS))
    print(json.dumps({"airflow": airflow, "models": models}))
    return 0


def install(folder: Path, packages: tuple[str, ...]) -> str:
    """The Python of a new environment with these packages."""
    venv.create(folder, with_pip=True)
    python = str(folder / "bin" / "python")
    subprocess.run([python, "-m", "pip", "install", "--quiet", *packages], check=True, stdout=sys.stderr)
    return python


def check_airflow(python: str, scratch: Path) -> dict[str, Any]:
    """What benchmarks/inputs/airflow_check.py finds, with a database of its own."""
    scratch.mkdir(parents=True)
    dags = ROOT / "schedules" / "airflow"
    own = {"AIRFLOW_HOME": scratch, "AIRFLOW__CORE__DAGS_FOLDER": dags, "AIRFLOW__CORE__LOAD_EXAMPLES": False}
    settings = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "PYTHONPATH"))}
    settings |= {name: str(value) for name, value in own.items()}
    for command in (["db", "migrate"], ["dags", "reserialize"]):
        subprocess.run([python, "-m", "airflow", *command], check=True, env=settings, cwd=scratch, stdout=sys.stderr)
    check = [python, str(ROOT / "benchmarks" / "inputs" / "airflow_check.py"), str(dags / "m5_refresh.py"), str(scratch)]
    return _last_object(check, settings, scratch)


def check_models(python: str) -> dict[str, Any]:
    """What benchmarks/inputs/schedule_models.py finds."""
    check = [python, str(ROOT / "benchmarks" / "inputs" / "schedule_models.py"), str(ROOT / "schedules")]
    return _last_object(check, dict(os.environ), ROOT)


def _last_object(command: list[str], settings: dict[str, str], folder: Path) -> dict[str, Any]:
    done = subprocess.run(command, check=True, env=settings, cwd=folder, stdout=subprocess.PIPE, text=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


if __name__ == "__main__":
    sys.exit(main())
