"""SIGKILL at random moments of a mixture of tasks, then the same command again: the weights end as if nothing had happened.

    python benchmarks/kill_mixture.py [--kills 10] [--rows 2000] [--steps 150]

The job trains on CPU: masked language modelling, product types, duplicates and contrast, mixed by rows. Files of weights are
compared: those of the bundle, or of the last checkpoint where the gate of so short a training refuses. The last line of stdout
is one JSON object.
"""

import argparse
import json
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from inputs.labelled import write_sets

from m5model.files.checksums import sha256_of
from m5model.training.progress import say
from schemas.errors import ExitCode
from schemas.workspace import Workspace

JOB = Path(__file__).parents[1] / "jobs" / "train_model.py"
LONGEST_WAIT = 120.0  # seconds for the first checkpoint of a start


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=10, help="(default: %(default)s)")
    parser.add_argument("--rows", type=int, default=2_000, help="of the sample catalogue (default: %(default)s)")
    parser.add_argument("--steps", type=int, default=150, help="of the mixture (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of moments (default: %(default)s)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="m5-kill-mixture-") as folder:
        calm, hunted = Path(folder) / "calm", Path(folder) / "hunted"
        write_sets(Workspace(str(calm)), arguments.rows)
        shutil.copytree(calm, hunted)
        recipe = Path(folder) / "recipe.json"
        recipe.write_text(json.dumps(_recipe(arguments.steps)))
        _finish(_start(calm, recipe))
        kills = _kill_often(hunted, recipe, arguments.kills, random.Random(arguments.seed))
        _finish(_start(hunted, recipe))
        expected, found = _weights(calm), _weights(hunted)
    result = {
        "kills": len(kills),
        "killed_after_checkpoint_of_step": kills,
        "steps": arguments.steps,
        "weights": expected,
        "weights_after_kills": found,
        "byte_equal": bool(expected) and expected == found,
    }
    print(json.dumps(result))
    return 0 if result["byte_equal"] else 1


def _recipe(steps: int) -> dict[str, object]:
    tasks = [
        {"task": "mlm", "settings": {"token_budget": 512}},
        {"task": "product_type", "labels": "types", "settings": {"token_budget": 512}},
        {"task": "duplicates", "labels": "pairs", "settings": {"token_budget": 512}},
        {"task": "contrast", "labels": "pairs", "settings": {"batch_rows": 8}},
    ]
    training = {"steps": steps, "learning_rate": 0.001}
    mixing = {"temperature": 2, "scaling": "log_labels"}
    mixture = {"kind": "tasks", "stage": "mixture", "tasks": tasks, "training": training, "mixing": mixing}
    return {"name": "kill-mixture", "preset": "tiny", "stages": [{"kind": "vocabulary", "size": 2_000}, mixture]}


def _start(workspace: Path, recipe: Path) -> "subprocess.Popen[str]":
    flags = ["--workspace", str(workspace), "--recipe", str(recipe), "--device", "cpu", "--threads", "1"]
    command = [sys.executable, str(JOB), *flags, "--checkpoint-every", "5", "--tracking-uri", "none"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def _finish(job: "subprocess.Popen[str]") -> None:
    """Wait until the job has trained to the end."""
    _, log = job.communicate()
    if job.returncode not in (ExitCode.DONE, ExitCode.GATE_REFUSED):
        raise SystemExit(f"the job ended with {job.returncode}:\n{log[-3_000:]}")


def _weights(workspace: Path) -> dict[str, str]:
    """SHA-256 of every file of weights, by its path in the bundle or in the last checkpoint."""
    folders = list((workspace / "bundles").glob("*")) or list(
        (workspace / "checkpoints").glob(f"*/*/step-{_newest(workspace):08d}")
    )
    return {str(file.relative_to(folder)): sha256_of(file) for folder in folders for file in folder.rglob("*.safetensors")}


def _kill_often(workspace: Path, recipe: Path, count: int, draw: random.Random) -> list[int]:
    """Kills; returns after which checkpoint each one was."""
    kills: list[int] = []
    while len(kills) < count:
        job = _start(workspace, recipe)
        reader = subprocess.Popen(["cat"], stdin=job.stderr, stdout=subprocess.DEVNULL)  # a full pipe would stop the job
        before = _newest(workspace)
        deadline = time.monotonic() + LONGEST_WAIT
        while job.poll() is None and _newest(workspace) <= before and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(draw.uniform(0, 0.3))
        if job.poll() is not None:
            raise SystemExit(f"the job ended after {len(kills)} kills: give more --steps")
        job.send_signal(signal.SIGKILL)
        job.wait()
        reader.wait()
        kills.append(_newest(workspace))
        say(f"kill {len(kills)} of {count}: after the checkpoint of step {kills[-1]}")
    return kills


def _newest(workspace: Path) -> int:
    """The step of the newest whole checkpoint, 0 for none."""
    steps = [int(file.parent.name[5:]) for file in (workspace / "checkpoints").glob("*/*/step-*/manifest.json")]
    return max(steps, default=0)


if __name__ == "__main__":
    sys.exit(main())
