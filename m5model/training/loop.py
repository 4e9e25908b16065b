"""The training loop: any model, any loss. Killed and started again, it ends with the bytes of an undisturbed run (on CPU).

That holds because order, masking, dropout and learning rate are functions of the seed and the step.
"""

import hashlib
import json
import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn

from m5model.data.randomness import seed_for
from m5model.data.token_rows import BatchOrder
from m5model.training.checkpoints import NOTHING_CONSUMED, CheckpointManifest, Checkpoints, consume
from m5model.training.config import TrainingConfig
from m5model.training.progress import Progress, say
from m5model.training.schedule import build_optimizer, learning_rate_at
from schemas.errors import ConfigurationError, M5Error


class TrainingDivergedError(M5Error):
    """The loss is no number any more."""


@dataclass(frozen=True)
class StepLoss:
    """What one step came to."""

    loss: Tensor  # scalar float32
    tokens: int  # that went through the model, padding included


@dataclass(frozen=True, kw_only=True)
class Run:
    """All that a loop needs. ``loss`` gets the step and its rows (B,) and leaves the model's gradients to the loop."""

    label: str
    model: nn.Module
    config: TrainingConfig
    order: BatchOrder
    keys: np.ndarray  # (n,) int64, of the rows
    loss: Callable[[int, np.ndarray], StepLoss]
    checkpoints: Checkpoints = field(default_factory=lambda: Checkpoints(None, ""))


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a run ended."""

    steps: int
    resumed_from: int  # step of the checkpoint that it started from, 0 for none
    consumed_hash: str
    last_loss: float | None  # None where there was no step to do


def run_id(*parts: object) -> str:
    """12 hexadecimal digits of all that decides a run (settings, data, vocabulary), so that equal runs share checkpoints."""
    return hashlib.sha256(json.dumps([str(part) for part in parts]).encode()).hexdigest()[:12]


def choose_device(config: TrainingConfig) -> torch.device:
    """``auto`` is CUDA where there is a GPU, else the CPU, with as many threads as configured.

    Raises ConfigurationError for cuda without a GPU.
    """
    if config.threads:
        torch.set_num_threads(config.threads)
    if config.device == "cuda" and not torch.cuda.is_available():
        raise ConfigurationError(
            "device cuda, but torch sees no GPU", next_step="give --device cpu, or install a CUDA build of torch"
        )
    return torch.device("cuda" if config.device != "cpu" and torch.cuda.is_available() else "cpu")


def mixed_precision(device: torch.device) -> torch.autocast:
    """bfloat16 where there is a GPU; float32 as it is on CPU."""
    return torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda")


def train(run: Run) -> Outcome:
    """Do the steps that are left, with a checkpoint every ``checkpoint_every`` and at the end. The model stays on its device.

    Raises TrainingDivergedError for a loss that is not finite.
    """
    optimizer = build_optimizer(run.model, run.config)
    restored = run.checkpoints.restore(run.model, optimizer)
    first_step = restored.step if restored else 0
    consumed_hash = restored.consumed_hash if restored else NOTHING_CONSUMED
    if restored:
        _refuse_other_order(run, restored)
        say(f"{run.label}: goes on from step {first_step:,}")
    progress = Progress(run.label, run.config.steps, first_step)
    loss = None
    run.model.train()
    for step in range(first_step, run.config.steps):
        rows = run.order.rows(step)
        loss, tokens = _do_step(run, optimizer, step, rows)
        consumed_hash = consume(consumed_hash, run.keys[rows])
        done = step + 1
        progress.add(done, loss, tokens)
        if done % run.config.checkpoint_every == 0 or done == run.config.steps:
            run.checkpoints.save(run.model, optimizer, done, consumed_hash)
    run.model.eval()
    return Outcome(steps=run.config.steps, resumed_from=first_step, consumed_hash=consumed_hash, last_loss=loss)


def _refuse_other_order(run: Run, restored: CheckpointManifest) -> None:
    """Replay which rows the done steps consumed: a changed order would repeat some and skip others in silence."""
    consumed_hash = NOTHING_CONSUMED
    for step in range(restored.step):
        consumed_hash = consume(consumed_hash, run.keys[run.order.rows(step)])
    if consumed_hash != restored.consumed_hash:
        raise ConfigurationError(
            f"{run.label}: the first {restored.step:,} steps would consume {consumed_hash[:12]}…, the checkpoint consumed "
            f"{restored.consumed_hash[:12]}…",
            next_step="go on with the version of M5 that wrote the checkpoint, or delete it and start again",
        )


def _do_step(run: Run, optimizer: torch.optim.Optimizer, step: int, rows: np.ndarray) -> tuple[float, int]:
    torch.manual_seed(seed_for("dropout", run.config.seed, step))
    for group in optimizer.param_groups:
        group["lr"] = learning_rate_at(step, run.config)
    outcome = run.loss(step, rows)
    value = float(outcome.loss.detach())
    if not math.isfinite(value):
        raise TrainingDivergedError(
            f"{run.label}: loss is {value} at step {step}, learning rate {learning_rate_at(step, run.config):.2e}",
            next_step="lower the learning rate or raise the warm-up; the last checkpoint is still good",
        )
    optimizer.zero_grad(set_to_none=True)
    outcome.loss.backward()
    nn.utils.clip_grad_norm_(run.model.parameters(), run.config.clip_norm)
    optimizer.step()
    return value, outcome.tokens
