"""What small jobs cost from the command to its end, against the least that a Spark job can cost on this machine.

    python benchmarks/cold_start.py [--rounds 3] [--rows 200]

``floor_s`` is benchmarks/inputs/bare_spark.py started as jobs are; ``plain_floor_s`` is the same script and the same
spark-defaults.conf without the quick start of spark/setup/quick_start.py. Every round runs both and all jobs in turn, in a
fresh workspace; seconds are medians over rounds, and a job's ratio is its median to ``floor_s``. The last line of stdout is
one JSON object.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from statistics import median

import pyarrow as pa
import pyspark
from deltalake import write_deltalake
from inputs.listings import sample_texts
from inputs.students import publish_student

from m5model.sample_catalogue.catalogue import write_catalogue
from schemas.workspace import Workspace

ROOT = Path(__file__).resolve().parent.parent
DEFAULTS = Path(pyspark.__file__).parent / "conf" / "spark-defaults.conf"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, help="times that everything runs (default: %(default)s)")
    parser.add_argument("--rows", type=int, default=200, help="listings (default: %(default)s)")
    arguments = parser.parse_args()
    seconds = defaultdict[str, list[float]](list)
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        prepare(scratch, arguments.rows)
        for number in range(arguments.rounds):
            for step, taken in run_round(scratch).items():
                seconds[step].append(taken)
            print(f"round {number + 1}:", {step: round(taken[-1], 1) for step, taken in seconds.items()}, file=sys.stderr)
    medians = {step: median(taken) for step, taken in seconds.items()}
    floor = medians["floor"]
    jobs = ("ingest", "idle_embed", "idle_publish", "idle_refresh", "small_publish")
    figures = {
        "benchmark": "cold_start",
        "rows": arguments.rows,
        "rounds": arguments.rounds,
        "floor_s": round(floor, 2),
        "plain_floor_s": round(medians["plain_floor"], 2),
        "floor_to_plain": round(floor / medians["plain_floor"], 3),
        **{f"{job}_to_floor": round(medians[job] / floor, 3) for job in jobs},
        "seconds": {step: round(taken, 2) for step, taken in medians.items()},
    }
    print(json.dumps(figures))
    return 0


def prepare(scratch: Path, rows: int) -> None:
    """A feed, a student of random weights, a Delta table for the bare script, and a conf folder without the quick start."""
    write_catalogue(scratch / "catalogue", rows=rows)
    texts = sample_texts(2_000)
    publish_student(Workspace(f"{scratch}/student"), "tiny", texts)
    write_deltalake(f"{scratch}/table", pa.table({"text": texts[:rows]}))
    (scratch / "plain").mkdir()
    shutil.copy(DEFAULTS, scratch / "plain")


def run_round(scratch: Path) -> dict[str, float]:
    """Seconds of every step, in a workspace that is made for it."""
    workspace, out = scratch / "workspace", scratch / "out"
    for folder in (workspace, out):
        shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(scratch / "student" / "bundles", workspace / "bundles")
    bare = ["benchmarks/inputs/bare_spark.py", str(scratch / "table"), str(out)]
    seconds = {
        "floor": submit(bare),
        "plain_floor": submit(bare, SPARK_CONF_DIR=str(scratch / "plain")),
        "ingest": submit(job("ingest_catalog", workspace, "--feed", str(scratch / "catalogue" / "feeds"))),
        "first_embed": submit(job("embed_catalog", workspace)),
        "idle_embed": submit(job("embed_catalog", workspace)),
        "small_publish": submit(job("publish_features", workspace)),
        "idle_publish": submit(job("publish_features", workspace)),
        "idle_refresh": submit(job("refresh_catalog", workspace)),
    }
    # A second floor, so that a load that comes or goes during the round weighs on both sides.
    seconds["floor"] = (seconds["floor"] + submit(bare)) / 2
    return seconds


def job(name: str, workspace: Path, *flags: str) -> list[str]:
    return [f"jobs/{name}.py", "--workspace", str(workspace), *flags]


def submit(command: list[str], **variables: str) -> float:
    """Run one spark-submit of this environment to its end; returns its seconds. Raises CalledProcessError with its log."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, **variables}
    started = time.perf_counter()
    answer = subprocess.run(["spark-submit", *command], cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    taken = time.perf_counter() - started
    if answer.returncode:
        sys.stderr.write(answer.stderr[-3_000:])
        answer.check_returncode()
    return taken


if __name__ == "__main__":
    raise SystemExit(main())
