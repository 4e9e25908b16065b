"""SIGKILL at random moments, then the same command again: the table ends as if nothing had happened.

    python benchmarks/kill_and_resume.py [--kills 20] [--rows 30000] [--preset mini]

On a standalone cluster of two workers. A kill meets the driver (JVM and Python), a worker process with its executor (it is
started again), or an executor's Python worker. A run that ends is checked against an undisturbed one; where kills are left,
the table is dropped and the next run begins. The last line of stdout is one JSON object.
"""

import argparse
import contextlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from inputs.catalogue import write_listings
from inputs.cluster import LocalCluster
from inputs.embeddings import read_vectors
from inputs.listings import read_texts
from inputs.memory import python_workers
from inputs.students import publish_student

from m5model.training.progress import say
from schemas.workspace import Workspace
from spark.setup.session import build_session

WAVE_LINE = re.compile(r"wave (\d+) of (\d+): ([\d,]+) of")
VICTIMS = ("driver", "worker", "python_worker")
LONGEST_WAIT = 20.0  # seconds between kills


@dataclass(kw_only=True)
class Tally:
    """What the kills did."""

    kills: Counter[str] = field(default_factory=Counter)
    runs_finished: int = 0
    rows_lost: int = 0
    rows_duplicated: int = 0
    vectors_differing: int = 0
    rows_in_flight: int = 0  # rows of waves that were not committed when the driver was killed: they are done again


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20, help="(default: %(default)s)")
    parser.add_argument("--rows", type=int, default=30_000, help="listings (default: %(default)s)")
    parser.add_argument("--rows-per-wave", type=int, default=3_000, help="(default: %(default)s)")
    parser.add_argument("--preset", default="mini", help="size of the student (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of moments and victims (default: %(default)s)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        workspace = make_workspace(Path(scratch), arguments.rows, arguments.preset)
        with LocalCluster(Path(scratch) / "cluster") as cluster:
            flags = ["--workspace", workspace.root, "--rows-per-wave", str(arguments.rows_per_wave)]
            undisturbed = run_undisturbed(cluster, workspace, flags)
            tally = Tally()
            dice = random.Random(arguments.seed)
            while sum(tally.kills.values()) < arguments.kills:
                disturb_run(cluster, flags, arguments, dice, tally)
                compare(workspace, undisturbed, tally)
                shutil.rmtree(workspace.table("embeddings"))
    rows_run = arguments.rows * tally.runs_finished
    figures = {
        "benchmark": "kill_and_resume",
        "rows": arguments.rows,
        "rows_per_wave": arguments.rows_per_wave,
        "preset": arguments.preset,
        "kills": sum(tally.kills.values()),
        "killed": dict(tally.kills),
        "runs_finished": tally.runs_finished,
        "rows_lost": tally.rows_lost,
        "rows_duplicated": tally.rows_duplicated,
        "vectors_differing": tally.vectors_differing,
        "rows_redone_share": round(tally.rows_in_flight / rows_run, 4),
        "driver_kills_times_wave_share": round(tally.kills["driver"] * arguments.rows_per_wave / rows_run, 4),
    }
    print(json.dumps(figures))
    return 0


def make_workspace(scratch: Path, rows: int, preset: str) -> Workspace:
    workspace = Workspace(str(scratch / "workspace"))
    spark = build_session("kill_and_resume: listings")
    write_listings(spark, workspace, rows)
    spark.stop()
    publish_student(workspace, preset, read_texts(20_000, seed=1)[0])
    return workspace


def run_undisturbed(cluster: LocalCluster, workspace: Workspace, flags: list[str]) -> dict[tuple[str, str], bytes]:
    started = time.monotonic()
    finish(cluster, cluster.submit("jobs/embed_catalog.py", *flags))
    say(f"undisturbed: {time.monotonic() - started:.0f} s")
    vectors, _ = read_vectors(workspace.table("embeddings"))
    shutil.rmtree(workspace.table("embeddings"))
    return vectors


def disturb_run(
    cluster: LocalCluster, flags: list[str], arguments: argparse.Namespace, dice: random.Random, tally: Tally
) -> None:
    """One run from an empty table to its end, killed and started again on the way."""
    job = cluster.submit("jobs/embed_catalog.py", *flags)
    while sum(tally.kills.values()) < arguments.kills:
        with contextlib.suppress(subprocess.TimeoutExpired):
            job.wait(timeout=dice.uniform(1, LONGEST_WAIT))
            break
        victim = dice.choice(VICTIMS)
        if not kill(cluster, job, victim, dice):
            continue
        tally.kills[victim] += 1
        say(f"kill {sum(tally.kills.values())}: {victim}, after {last_wave(cluster) or 'no wave'}")
        if victim == "driver":
            tally.rows_in_flight += rows_in_flight(cluster, arguments.rows_per_wave)
            job = cluster.submit("jobs/embed_catalog.py", *flags)
    finish(cluster, job)
    tally.runs_finished += 1


def kill(cluster: LocalCluster, job: "subprocess.Popen[bytes]", victim: str, dice: random.Random) -> bool:
    """False where there is no such process at this moment."""
    if victim == "driver":
        os.killpg(job.pid, signal.SIGKILL)
        job.wait()
        return True
    if victim == "worker":
        number = dice.randrange(len(cluster.workers))
        cluster.kill_worker(number)
        cluster.start_worker(number)
        return True
    workers = [process for process in python_workers() if is_of_cluster(process, cluster.folder)]
    if not workers:
        return False
    with contextlib.suppress(ProcessLookupError):
        os.kill(int(dice.choice(workers).name), signal.SIGKILL)
        return True
    return False


def is_of_cluster(process: Path, folder: Path) -> bool:
    """Whether a process works below the cluster's folder."""
    try:
        return (process / "cwd").readlink().is_relative_to(folder)
    except OSError:  # it ended meanwhile
        return False


def last_wave(cluster: LocalCluster) -> re.Match[str] | None:
    found = list(WAVE_LINE.finditer((cluster.folder / "job.err").read_text(errors="replace")))
    return found[-1] if found else None


def rows_in_flight(cluster: LocalCluster, rows_per_wave: int) -> int:
    """Rows of the wave that the killed driver was at: none before the first began or after the last was committed."""
    wave = last_wave(cluster)
    began = "starting" in (cluster.folder / "job.err").read_text(errors="replace")
    if wave is None:
        return rows_per_wave if began else 0
    return rows_per_wave if wave[1] != wave[2] else 0


def finish(cluster: LocalCluster, job: "subprocess.Popen[bytes]") -> None:
    if job.wait(timeout=900) != 0:
        raise RuntimeError(f"the job ended with {job.returncode}: {(cluster.folder / 'job.err').read_text()[-3_000:]}")


def compare(workspace: Workspace, expected: dict[tuple[str, str], bytes], tally: Tally) -> None:
    """The table as it stands against the undisturbed one."""
    found, repeated = read_vectors(workspace.table("embeddings"))
    tally.rows_lost += len(expected.keys() - found.keys())
    tally.rows_duplicated += repeated + len(found.keys() - expected.keys())
    tally.vectors_differing += sum(found[key] != vector for key, vector in expected.items() if key in found)


if __name__ == "__main__":
    raise SystemExit(main())
