"""Runs' metadata written, read and searched through MLflow: SQLite, PostgreSQL, and plain files where MLflow still offers them.

    python benchmarks/tracking.py [--runs 500]

Every store gets the same runs (8 parameters, 40 metrics, 3 tags) through m5model.releases.tracking, one after the other.
``read`` opens each run by its id; ``search`` finds runs by a metric, ordered, 20 times. Stores that are not there are named
in ``skipped``. The last line of stdout is one JSON object; ratios are to the file store where there is one, else to SQLite.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from inputs.postgresql import postgresql

from m5model.training.progress import say

SEARCHES = 20


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=500, help="runs to write (default: %(default)s)")
    arguments = parser.parse_args()
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")  # for the comparison; M5 itself only uses databases
    figures: dict[str, dict[str, float]] = {}
    skipped: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as scratch:
        stores: dict[str, Callable[[], AbstractContextManager[str]]] = {
            "files": lambda: nullcontext(f"file://{Path(scratch) / 'runs'}"),
            "sqlite": lambda: nullcontext(f"sqlite:///{Path(scratch) / 'mlflow.db'}"),
            "postgresql": postgresql,
        }
        for name, open_store in stores.items():
            try:
                with open_store() as uri:
                    figures[name] = measure(uri, arguments.runs)
            except Exception as error:  # noqa: BLE001  # a store that MLflow or the machine does not have is named
                skipped[name] = str(error).splitlines()[0][:200]
                continue
            say(f"{name}: {figures[name]}")
    base = "files" if "files" in figures else "sqlite"
    ratios = {
        name: {kind: round(figures[base][kind] / seconds, 2) for kind, seconds in own.items()}
        for name, own in figures.items()
        if name != base
    }
    result = {"benchmark": "tracking", "runs": arguments.runs, "seconds": figures, f"faster_than_{base}": ratios}
    print(json.dumps({**result, "skipped": skipped}))
    return 0


def measure(uri: str, runs: int) -> dict[str, float]:
    """Seconds to write, read and search."""
    from mlflow import MlflowClient

    from m5model.releases.tracking import log_run

    warnings = log_run(uri, "warm-up", "warm-up", {}, {"loss": 0.0})  # makes the schema
    if warnings:
        raise RuntimeError(warnings[0])
    started = time.monotonic()
    for number in range(runs):
        metrics = {f"metric_{i}": (number * 37 + i) % 1_000 / 1_000 for i in range(40)}
        warnings = log_run(uri, "m5", f"run-{number}", {f"p{i}": i for i in range(8)}, metrics, {"a": "b", "c": "d", "e": "f"})
        if warnings:
            raise RuntimeError(warnings[0])
    written = time.monotonic()
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("m5").experiment_id
    ids = [run.info.run_id for run in client.search_runs([experiment], max_results=runs)]
    if len(ids) != runs:
        raise RuntimeError(f"{len(ids)} of {runs} runs were found")
    reading = time.monotonic()
    for run_id in ids:
        client.get_run(run_id)
    read = time.monotonic()
    for place in range(SEARCHES):
        client.search_runs([experiment], f"metrics.metric_{place} > 0.9", max_results=50, order_by=["metrics.metric_0 DESC"])
    searched = time.monotonic()
    return {"write": round(written - started, 3), "read": round(read - reading, 3), "search": round(searched - read, 3)}


if __name__ == "__main__":
    sys.exit(main())
