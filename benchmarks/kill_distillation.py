"""SIGKILL at random moments of a distillation, then the same command again: the bundle ends as if nothing had happened.

    python benchmarks/kill_distillation.py [--kills 10] [--rows 1200] [--steps 60]

A tiny teacher loses a layer: `m5 distill` with imitation, judgements and labelled pairs, int8 graphs and the gate, on CPU.
Moments are drawn over the whole length of an undisturbed run, so that kills meet the reading of sets, the teacher's outputs,
every part of the training, the export and the gate; a run that ends before its kill begins anew. Every file of the bundle is
compared, the manifest without its times and measured milliseconds. The last line of stdout is one JSON object.
"""

import argparse
import contextlib
import json
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from inputs.commands import M5
from inputs.labelled import write_sets

from m5model.files.checksums import sha256_of
from m5model.training.progress import say
from schemas.bundle import MANIFEST_FILE
from schemas.workspace import Workspace

PROJECT = Path(__file__).parents[1]
TRAIN = ["jobs/train_model.py", "--preset", "tiny", "--steps", "30", "--tracking-uri", "none"]
DISTIL = ["--start-from", "teacher", "--layers", "0", "--pairs", "pairs", "--checkpoint-every", "5"]
# So short a training agrees with nothing; what is looked at here is that it ends the same.
GATE = """
[agreement]
min_correlation = -1
language_slack = 2
[pairs]
max_average_precision_gap = 1
max_roc_auc_gap = 1
max_recall_gap = 1
max_language_gap = 1
max_language_roc_auc_gap = 1
max_language_recall_gap = 1
"""
MACHINE = ["--device", "cpu", "--threads", "1"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=10, help="(default: %(default)s)")
    parser.add_argument("--rows", type=int, default=1_200, help="of the sample catalogue (default: %(default)s)")
    parser.add_argument("--steps", type=int, default=60, help="of all parts (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of moments (default: %(default)s)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="m5-kill-distillation-") as name:
        hunt = Hunt(folder=Path(name), steps=arguments.steps)
        hunt.prepare(arguments.rows)
        hunt.run(arguments.kills, random.Random(arguments.seed))
    result = {
        "benchmark": "kill_distillation",
        "kills": sum(hunt.kills.values()),
        "killed_in": dict(hunt.kills),
        "runs_ended": hunt.ended,
        "files": len(hunt.expected),
        "files_differing": sorted(hunt.differing),
    }
    print(json.dumps(result))
    return 1 if hunt.differing else 0


@dataclass(kw_only=True)
class Hunt:
    """A workspace to begin with, the bundle of an undisturbed run, and what was found where runs were killed."""

    folder: Path
    steps: int
    seconds: float = 0.0  # of an undisturbed run
    expected: dict[str, str] = field(default_factory=dict)
    kills: Counter[str] = field(default_factory=Counter)  # by the last thing that the run had said
    ended: int = 0
    differing: set[str] = field(default_factory=set)

    def prepare(self, rows: int) -> None:
        """Train the teacher, and distil it once in peace."""
        begun = self.folder / "begun"
        write_sets(Workspace(str(begun)), rows)
        (self.folder / "gate.toml").write_text(GATE)
        self._finish(self._start([sys.executable, *TRAIN, "--workspace", str(begun), *MACHINE]))
        calm = self._begin("calm")
        started = time.monotonic()
        self._finish(self._distil(calm))
        self.seconds = time.monotonic() - started
        self.expected = _files(calm)
        if not self.expected:
            raise SystemExit("the undisturbed run made no student")

    def run(self, count: int, draw: random.Random) -> None:
        """Kill so many times, then let the last run end."""
        hunted = self._begin("hunted")
        while self.kills.total() < count:
            job = self._distil(hunted)
            self._kill(job, draw.uniform(0, self.seconds))
            if _files(hunted):
                self._compare(hunted)
                hunted = self._begin("hunted")
        self._finish(self._distil(hunted))
        self._compare(hunted)

    def _kill(self, job: "subprocess.Popen[bytes]", seconds: float) -> None:
        """After so many seconds, where it is still at work then."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            job.wait(seconds)
        if job.poll() is None:
            job.send_signal(signal.SIGKILL)
            job.wait()
            self.kills[self._said()] += 1
            say(f"kill {self.kills.total()}: {self._said()}")

    def _compare(self, workspace: Path) -> None:
        found = _files(workspace)
        self.ended += 1
        self.differing |= {name for name in {*found, *self.expected} if found.get(name) != self.expected.get(name)}

    def _begin(self, name: str) -> Path:
        shutil.rmtree(self.folder / name, ignore_errors=True)
        shutil.copytree(self.folder / "begun", self.folder / name)
        return self.folder / name

    def _distil(self, workspace: Path) -> "subprocess.Popen[bytes]":
        flags = ["--gate", str(self.folder / "gate.toml"), "--steps", str(self.steps), "--workspace", str(workspace)]
        return self._start([*M5, "distill", *DISTIL, *flags, *MACHINE])

    def _start(self, command: list[str]) -> "subprocess.Popen[bytes]":
        with (self.folder / "log").open("wb") as log:
            return subprocess.Popen(command, stdout=log, stderr=log, cwd=PROJECT)

    def _finish(self, job: "subprocess.Popen[bytes]") -> None:
        if job.wait():
            raise SystemExit(f"it ended with {job.returncode}:\n{(self.folder / 'log').read_text()[-3_000:]}")

    def _said(self) -> str:
        """The stage that the last line is of: what stands before its first colon."""
        lines = (self.folder / "log").read_text(errors="replace").splitlines()
        return lines[-1].partition(":")[0][:40] if lines else "nothing said"


def _files(workspace: Path) -> dict[str, str]:
    """Path → SHA-256 of every file of the student's bundle, and the manifest's fields that are no times."""
    found: dict[str, str] = {}
    for manifest in (workspace / "bundles").glob(f"student-*/{MANIFEST_FILE}"):
        folder = manifest.parent
        found |= {str(file.relative_to(folder)): sha256_of(file) for file in folder.rglob("*") if file.is_file()}
        del found[MANIFEST_FILE]
        found |= _fields(json.loads(manifest.read_text(encoding="utf-8")))
    return found


def _fields(manifest: dict[str, Any]) -> dict[str, str]:
    """Every field and every figure of the gate as text, without the moment of its making and what was measured in seconds."""
    gate = {f"gate: {one['name']}": one for one in manifest.pop("gate") if not one["name"].startswith(("ms_", "times_"))}
    del manifest["created_at"]
    return {f"{MANIFEST_FILE}, {name}": json.dumps(value, sort_keys=True) for name, value in {**manifest, **gate}.items()}


if __name__ == "__main__":
    sys.exit(main())
