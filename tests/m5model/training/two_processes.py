"""The program that test_processes.py starts by torchrun: trains a small mixture and writes what came of it.

torchrun --nproc-per-node 2 --max-restarts 1 tests/m5model/training/two_processes.py LABEL-SET FOLDER ddp,fsdp [KILL-AT-STEP]
"""

import json
import os
import signal
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from datasets import Dataset
from safetensors.torch import save_file

from m5model.data.label_sets import open_label_set
from m5model.data.token_rows import TokenRows
from m5model.encoders.bert import BertEncoder, layout_config
from m5model.tasks import contrast, duplicates, mlm
from m5model.training.checkpoints import Checkpoints
from m5model.training.config import Machine, TrainingConfig
from m5model.training.learner import Learner
from m5model.training.loop import Run, train
from m5model.training.mixture import Mixture, mix
from m5model.training.processes import Processes, join_processes
from m5model.training.progress import Progress
from tests.m5model.tasks.conftest import MICRO, data_of

STEPS, EVERY = 9, 3


def train_mixture(label_set: str, folder: str, forms: Sequence[str], kill_at: int = 0) -> None:
    """Trains it in each of the forms, ``ddp``, ``fsdp`` or ``offload``."""
    torch.set_num_threads(1)
    processes = join_processes()
    for form in forms:
        learner, mixture = _prepare(label_set)
        losses: dict[int, float] = {}
        _watch(losses, kill_at, processes, Path(folder) / "killed")
        run = Run(
            label=form,
            learner=learner,
            mixture=mixture,
            config=TrainingConfig(steps=STEPS, learning_rate=5e-3),
            checkpoint_every=EVERY,
            checkpoints=Checkpoints(f"{folder}/{form}-checkpoints", "run"),
            machine=Machine(parallel="ddp" if form == "ddp" else "fsdp", offload=form == "offload"),
            processes=processes,
        )
        outcome = train(run)
        if processes.is_first:
            save_file(outcome.learner.state_dict(), Path(folder) / f"{form}.safetensors")
            said = {"losses": losses, "hash": outcome.consumed_hash, "from": outcome.resumed_from, "count": processes.count}
            (Path(folder) / f"{form}.json").write_text(json.dumps(said))


def _prepare(label_set: str) -> tuple[Learner, Mixture]:
    """A task that divides its batch, one whose encoder is divided, and one that compares all its texts with each other."""
    data = data_of(open_label_set(label_set))
    texts = [row["left_text"] for row in data.labels.splits["learn"]][:41]
    ids = [data.tokenizer.encode(text).ids for text in texts]
    rows = TokenRows(Dataset.from_dict({"ids": ids}), np.asarray([len(row) for row in ids]), np.arange(len(ids)))
    data = replace(data, learn=rows, held_out=rows)
    torch.manual_seed(3)
    config = layout_config(MICRO, data.tokenizer.get_vocab_size())
    config.dropout = config.attention_dropout = 0.0  # what is dropped depends on the process that computes a row
    encoder = BertEncoder(config)
    tasks = [
        mlm.build(mlm.Settings(token_budget=64), encoder, data),
        duplicates.build(duplicates.Settings(form="concatenation", token_budget=128), encoder, data),
        contrast.build(contrast.Settings(batch_rows=5), encoder, data),
    ]
    return Learner(encoder, tasks), mix([(task, 1) for task in tasks], "c", 0, [1.0, 0.5, 1.0])


def _watch(losses: dict[int, float], kill_at: int, processes: Processes, killed: Path) -> None:
    """Remember every loss; end the last process, once, as a machine that fails would."""

    def add(self: Progress, step: int, loss: float, tokens: int) -> None:
        losses[step] = loss
        if step == kill_at and processes.rank == processes.count - 1 and not killed.exists():
            killed.touch()
            os.kill(os.getpid(), signal.SIGKILL)

    Progress.add = add  # type: ignore[method-assign]
