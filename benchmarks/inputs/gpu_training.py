"""What gpu_run.sh runs: utilisation of the large presets, then training from the last checkpoint on, until the time is up.

    python -m inputs.gpu_training prepare --data DATA [--rows 8000]
    python -m inputs.gpu_training run --data DATA --out OUT [--seconds 480] [--preset tiny-cross]

The last line of stdout is one JSON object, which also lies in OUT/result.json.
"""

import argparse
import io
import json
import sys
import tarfile
import tempfile
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from inputs.utilisation import measure_utilisation
from m5model.data.set_versions import find_training_set
from m5model.data.token_rows import tokenize_rows
from m5model.data.training_sets import open_training_set
from m5model.data.vocabulary import load_vocabulary, save_vocabulary, train_vocabulary
from m5model.data.vocabulary_marks import add_marks
from m5model.encoders.device import choose_device
from m5model.encoders.kinds import build_encoder
from m5model.encoders.presets import EncoderPreset, get_preset, rendering_of
from m5model.runtime.rendering import MARKS, without_marks
from m5model.tasks import TaskData, mlm
from m5model.training.checkpoints import Checkpoints
from m5model.training.config import Machine, TrainingConfig
from m5model.training.learner import Learner
from m5model.training.loop import Run, train
from m5model.training.mixture import Mixture, StepBatch, mix
from schemas.workspace import Workspace

LARGE = ("teacher-500m", "xl-1.5b")
UTILISATION_SECONDS = 90.0  # that one of them may need; it is left out where less time is left
PART_BYTES = 15 << 20
MOST_PARTS = 6  # and two files of results
VOCABULARY = 8_192
CHECKPOINT_EVERY = 200


class TimeIsUp(Exception):
    """Ends training between two steps."""


class UntilDeadline(Mixture):
    """A mixture that has no further batch when the time is up."""

    deadline = float("inf")

    def batch(self, step: int) -> StepBatch:
        if time.monotonic() > self.deadline:
            raise TimeIsUp
        return super().batch(step)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", choices=("prepare", "run"))
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--rows", type=int, default=8_000, help="of the sample catalogue (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=480.0, help="of the whole run (default: %(default)s)")
    parser.add_argument("--preset", default="tiny-cross", help="that is trained: its checkpoint must fit six files of 15 MiB")
    parser.add_argument("--steps", type=int, default=20_000, help="of the whole training, over all runs (default: %(default)s)")
    parser.add_argument("--token-budget", type=int, default=16_384, help="a step (default: %(default)s)")
    arguments = parser.parse_args()
    deadline = time.monotonic() + arguments.seconds
    if arguments.work == "prepare":
        return _prepare(arguments.data, arguments.rows, get_preset(arguments.preset))
    if arguments.out is None:
        parser.error("run needs --out")
    arguments.out.mkdir(parents=True, exist_ok=True)
    result = {
        "benchmark": "gpu_run",
        "utilisation": _utilisation(arguments.out, deadline),
        "training": _train(arguments, deadline),
    }
    (arguments.out / "result.json").write_text(json.dumps(result))
    print(json.dumps(result))
    return 0


def _prepare(data: Path, rows: int, preset: EncoderPreset) -> int:
    from inputs.labelled import write_sets  # needs what the GPU machine does not have

    workspace = Workspace(str(data / "workspace"))
    write_sets(workspace, rows)
    training_set = open_training_set(find_training_set(workspace, None), rendering_of(preset))
    texts = (without_marks(text, " ") for text in training_set.learn["text"])
    save_vocabulary(data / "vocabulary", add_marks(train_vocabulary(texts, VOCABULARY - len(MARKS))), preset.max_tokens)
    print(json.dumps({"rows": training_set.manifest.rows, "data": str(data)}))
    return 0


def _utilisation(out: Path, deadline: float) -> dict[str, Any]:
    """Of each large preset; one that an earlier run measured is not measured again."""
    file = out / "utilisation.json"
    found: dict[str, Any] = json.loads(file.read_text()) if file.is_file() else {}
    for name in LARGE:
        measured = found.get(name, {}).get("model_flops_utilisation") is not None
        if not measured and deadline - time.monotonic() > UTILISATION_SECONDS:
            found[name] = measure_utilisation(name, machine=Machine(save_memory=name == "xl-1.5b"))
            file.write_text(json.dumps(found))
    return found


def _train(arguments: argparse.Namespace, deadline: float) -> dict[str, Any]:
    preset, tokenizer = get_preset(arguments.preset), load_vocabulary(arguments.data / "vocabulary")
    path = find_training_set(Workspace(str(arguments.data / "workspace")), None)
    training_set = open_training_set(path, rendering_of(preset))
    learn, held_out = (
        tokenize_rows(rows, tokenizer, preset.max_tokens) for rows in (training_set.learn, training_set.held_out)
    )
    encoder = build_encoder(replace(preset, vocabulary_size=VOCABULARY), tokenizer.get_vocab_size(), seed=1)
    data = TaskData(learn=learn, held_out=held_out, seed=0)
    task = mlm.build(mlm.Settings(token_budget=arguments.token_budget), encoder, data)
    learner = Learner(encoder, [task]).to(choose_device("auto"))
    mixture = mix([(task, 1)], training_set.manifest.content_hash, 0)
    mixture.__class__, mixture.deadline = UntilDeadline, deadline - 20  # packing and measuring take some seconds
    with tempfile.TemporaryDirectory() as folder:
        _unpack(arguments.out, Path(folder))
        config = TrainingConfig(steps=arguments.steps, learning_rate=1e-3)
        checkpoints = Checkpoints(folder, f"gpu-{preset.name}-{arguments.steps}-{arguments.token_budget}")
        run = Run(
            label=f"gpu {preset.name}",
            learner=learner,
            mixture=mixture,
            config=config,
            checkpoint_every=CHECKPOINT_EVERY,
            checkpoints=checkpoints,
        )
        with suppress(TimeIsUp):  # what was learned since the last checkpoint is learned again by the next run
            train(run)
        restored = checkpoints.restore(learner)
        learner.eval()
        _pack(Path(folder), arguments.out)
    step = restored.manifest.step if restored else 0
    return {"preset": preset.name, "steps_done": step, "of": arguments.steps, "held_out_loss": round(task.measure(encoder), 4)}


def _pack(checkpoints: Path, out: Path) -> None:
    """The newest checkpoint as parts of one archive; parts of an older one go."""
    newest = max((folder for folder in checkpoints.iterdir() if folder.is_dir()), default=None)
    if newest is None:
        return
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        tar.add(newest, arcname=newest.name)
    content = archive.getvalue()
    parts = [content[start : start + PART_BYTES] for start in range(0, len(content), PART_BYTES)]
    if len(parts) > MOST_PARTS:
        raise SystemExit(f"error: the checkpoint has {len(content):,} bytes: train a smaller --preset")
    for old in out.glob("checkpoint.tar.*"):
        old.unlink()
    for number, part in enumerate(parts):
        (out / f"checkpoint.tar.{number}").write_bytes(part)


def _unpack(out: Path, checkpoints: Path) -> None:
    parts = sorted(out.glob("checkpoint.tar.*"))
    if parts:
        with tarfile.open(fileobj=io.BytesIO(b"".join(part.read_bytes() for part in parts))) as tar:
            tar.extractall(checkpoints, filter="data")


if __name__ == "__main__":
    torch.set_float32_matmul_precision("high")
    sys.exit(main())
