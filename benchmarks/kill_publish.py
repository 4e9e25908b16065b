"""SIGKILL at random moments of publishing, then the same command again: no half view is read, and nothing is left over.

    python benchmarks/kill_publish.py [--kills 20] [--rows 4000]

A catalogue changes; ``spark-submit jobs/publish_features.py`` is killed with its JVM and started again until it ends; then the
catalogue changes again, until there were enough kills. A reader opens the views with delta-rs all the time. In the end every
view is compared row for row with building it whole. The last line of stdout is one JSON object.
"""

import argparse
import contextlib
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

from deltalake import DeltaTable
from inputs.changes import ChangeSet, change_catalogue
from inputs.cluster import ROOT, SPARK_HOME
from inputs.drawn_vectors import SPACE
from publish_growth import DIMENSIONS, count_differing, make_catalogue
from pyspark.sql import SparkSession

from m5model.features.publications import read_publications
from m5model.training.progress import say
from schemas.workspace import Workspace
from spark.features.registry import load_recipes
from spark.features.settings import FeatureSettings
from spark.setup.session import build_session

LONGEST_WAIT = 40.0  # seconds between kills


class Reader(threading.Thread):
    """Reads the views again and again: rows under one source must always be the same rows."""

    def __init__(self, workspace: Workspace) -> None:
        super().__init__(daemon=True)
        self.workspace, self.stopped = workspace, threading.Event()
        self.reads, self.broken = 0, 0
        self._seen: dict[tuple[str, str], str] = {}

    def run(self) -> None:
        while not self.stopped.wait(0.2):
            for name in load_recipes():
                self._read(name)

    def _read(self, name: str) -> None:
        path = self.workspace.table(f"features/{name}")
        if not Path(path).exists():
            return
        version = DeltaTable(path).version()
        published = [one for one in read_publications(path) if one.version <= version][-1]
        found = digest(DeltaTable(path, version=version))
        self.reads += 1
        self.broken += self._seen.setdefault((name, json.dumps(dict(published.source), sort_keys=True)), found) != found


def digest(table: DeltaTable) -> str:
    """A hash of the rows, whatever their order."""
    rows = table.to_pyarrow_table().to_pylist()
    total = sum(int.from_bytes(hashlib.sha256(repr(sorted(row.items())).encode()).digest()) for row in rows)
    return f"{len(rows)}:{total}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20, help="(default: %(default)s)")
    parser.add_argument("--rows", type=int, default=4_000, help="listings (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of moments (default: %(default)s)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        workspace = Workspace(f"{scratch}/workspace")
        spark = build_session("kill_publish")
        make_catalogue(spark, workspace, arguments.rows)
        finish(submit(workspace))
        reader = Reader(workspace)
        reader.start()
        kills, runs, built = kill_until_enough(spark, workspace, arguments)
        reader.stopped.set()
        reader.join()
        differing = count_differing(spark, workspace, FeatureSettings())
        left = leftovers(workspace)
        spark.stop()
    figures = {"benchmark": "kill_publish", "rows": arguments.rows, "kills": kills, "publications": runs, "built": dict(built)}
    figures |= {"reads": reader.reads, "reads_of_half_a_view": reader.broken, "rows_differing_from_rebuild": differing}
    print(json.dumps(figures | {"left_over": len(left)}))
    return 0


def kill_until_enough(
    spark: SparkSession, workspace: Workspace, arguments: argparse.Namespace
) -> tuple[int, int, Counter[str]]:
    dice, kills, runs = random.Random(arguments.seed), 0, 0
    built: Counter[str] = Counter()
    tenth = max(1, arguments.rows // 400)
    while kills < arguments.kills:
        runs += 1
        change_catalogue(spark, workspace, ChangeSet(inserts=tenth, updates=3 * tenth, deletes=tenth, seed=runs), DIMENSIONS)
        job = submit(workspace)
        while kills < arguments.kills:
            with contextlib.suppress(subprocess.TimeoutExpired):
                job.wait(timeout=dice.uniform(3, LONGEST_WAIT))
                break
            os.killpg(job.pid, signal.SIGKILL)
            job.wait()
            kills += 1
            say(f"kill {kills} of {arguments.kills}, in publication {runs}")
            job = submit(workspace)
        report = finish(job)
        built.update(view["because"] or view["built"] for view in report["views"].values())
    return kills, runs, built


def submit(workspace: Workspace) -> "subprocess.Popen[bytes]":
    command = [
        str(SPARK_HOME / "bin" / "spark-submit"),
        str(ROOT / "jobs/publish_features.py"),
        "--workspace",
        workspace.root,
        "--follow-from",
        "0",
    ]
    command += ["--space", SPACE, "--tracking-uri", "none"]
    environment = {**os.environ, "PYSPARK_PYTHON": sys.executable}
    with Path(f"{workspace.root}.out").open("wb") as out, Path(f"{workspace.root}.err").open("wb") as err:
        job = subprocess.Popen(command, env=environment, stdout=out, stderr=err, start_new_session=True)
    job.args = [workspace.root]
    return job


def finish(job: "subprocess.Popen[bytes]") -> dict:
    """The job's report."""
    started = time.monotonic()
    root = job.args[0]
    if job.wait(timeout=900) != 0:
        raise RuntimeError(f"the job ended with {job.returncode}: {Path(f'{root}.err').read_text()[-3_000:]}")
    say(f"finished {time.monotonic() - started:.0f} s later")
    return json.loads(Path(f"{root}.out").read_text().splitlines()[-1])


def leftovers(workspace: Workspace) -> list[str]:
    """What publishing itself staged and did not commit. (Files that Spark's own writer left are VACUUM's.)"""
    found = []
    for log in Path(workspace.root).rglob("_delta_log"):
        table = DeltaTable(str(log.parent))
        known = {
            Path(file).name for v in range(table.version() + 1) for file in DeltaTable(str(log.parent), version=v).file_uris()
        }
        found += [str(file) for file in log.parent.rglob("m5-*.parquet") if file.name not in known]
        found += [str(file) for file in log.parent.rglob(".m5-*")]
    return found


if __name__ == "__main__":
    raise SystemExit(main())
