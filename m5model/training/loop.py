"""The training loop: any encoder, any mixture of tasks.

Killed and started again, it ends with the bytes of an undisturbed run (on CPU).

That holds because order, masking, dropout and learning rate are functions of the seed and the step.
"""

import math
from dataclasses import dataclass, field

import torch
from torch import nn

from m5model.data.randomness import seed_for
from m5model.encoders.device import mixed_precision
from m5model.training.checkpoints import NOTHING_CONSUMED, CheckpointManifest, Checkpoints, consume
from m5model.training.config import TrainingConfig
from m5model.training.learner import Learner
from m5model.training.mixture import Mixture, StepBatch
from m5model.training.progress import Progress, say
from m5model.training.schedule import build_optimizer, learning_rate_at
from schemas.errors import ConfigurationError, M5Error


class TrainingDivergedError(M5Error):
    """The loss is no number any more."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """All that the loop needs. The learner is on the device that computes."""

    label: str
    learner: Learner
    mixture: Mixture
    config: TrainingConfig
    checkpoint_every: int = 200  # steps
    checkpoints: Checkpoints = field(default_factory=lambda: Checkpoints(None, ""))


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """Says how a run ended."""

    steps: int
    resumed_from: int  # step of the checkpoint that it started from, 0 for none
    consumed_hash: str
    last_loss: float | None  # None where there was no step to do


def train(run: Run) -> Outcome:
    """Do the steps that are left, with a checkpoint every ``checkpoint_every`` and at the end. The learner stays on its device.

    Raises TrainingDivergedError for a loss that is not finite.
    """
    optimizer = build_optimizer(run.learner, run.config)
    restored = run.checkpoints.restore(run.learner, optimizer)
    first_step = restored.step if restored else 0
    consumed_hash = restored.consumed_hash if restored else NOTHING_CONSUMED
    if restored:
        _refuse_other_order(run, restored)
        say(f"{run.label}: goes on from step {first_step:,}")
    progress = Progress(run.label, run.config.steps, first_step)
    loss = None
    run.learner.train()
    for step in range(first_step, run.config.steps):
        batch = run.mixture.batch(step)
        loss, tokens = _do_step(run, optimizer, step, batch)
        consumed_hash = consume(consumed_hash, batch.task.name, batch.keys)
        done = step + 1
        progress.add(done, loss, tokens)
        if done % run.checkpoint_every == 0 or done == run.config.steps:
            run.checkpoints.save(run.learner, optimizer, done, consumed_hash)
    run.learner.eval()
    return Outcome(steps=run.config.steps, resumed_from=first_step, consumed_hash=consumed_hash, last_loss=loss)


def _refuse_other_order(run: Run, restored: CheckpointManifest) -> None:
    """Replay which rows the done steps consumed: a changed order would repeat some and skip others in silence."""
    consumed_hash = NOTHING_CONSUMED
    for step in range(restored.step):
        batch = run.mixture.batch(step)
        consumed_hash = consume(consumed_hash, batch.task.name, batch.keys)
    if consumed_hash != restored.consumed_hash:
        raise ConfigurationError(
            f"{run.label}: the first {restored.step:,} steps would consume {consumed_hash[:12]}…, the checkpoint consumed "
            f"{restored.consumed_hash[:12]}…",
            next_step="go on with the version of M5 that wrote the checkpoint, or delete it and start again",
        )


def _do_step(run: Run, optimizer: torch.optim.Optimizer, step: int, chosen: StepBatch) -> tuple[float, int]:
    torch.manual_seed(seed_for("dropout", run.config.seed, step))
    for group in optimizer.param_groups:
        group["lr"] = learning_rate_at(step, run.config)
    task, encoder = chosen.task, run.learner.encoder
    batch = task.batch(step, chosen.rows)
    with mixed_precision(encoder.device):
        logits = task.logits(encoder, batch)
    loss = task.loss(logits, batch)
    value = float(loss.detach())
    if not math.isfinite(value):
        raise TrainingDivergedError(
            f"{run.label}: the loss of {task.name} is {value} at step {step}, "
            f"learning rate {learning_rate_at(step, run.config):.2e}",
            next_step="lower the learning rate or raise the warm-up; the last checkpoint is still good",
        )
    optimizer.zero_grad(set_to_none=True)
    (loss if chosen.scale == 1.0 else loss * chosen.scale).backward()
    nn.utils.clip_grad_norm_(run.learner.parameters_in_order(), run.config.clip_norm)
    optimizer.step()
    return value, batch.tokens
