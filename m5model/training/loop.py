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
from m5model.training.config import Machine, TrainingConfig
from m5model.training.learner import Learner
from m5model.training.mixture import Mixture, StepBatch
from m5model.training.parallel import OneProcess, arrange
from m5model.training.processes import Processes
from m5model.training.progress import Progress, say
from m5model.training.schedule import build_optimizer, learning_rate_at, set_learning_rate
from schemas.bundle import TrainedStage
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
    machine: Machine = field(default_factory=Machine)
    processes: Processes = field(default_factory=Processes)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """Says how a run ended."""

    steps: int
    resumed_from: int  # step of the checkpoint that it started from, 0 for none
    consumed_hash: str
    last_loss: float | None  # None where there was no step to do
    learner: Learner  # the trained one: another object where the run's was held in parts

    def as_stage(self, stage: str) -> TrainedStage:
        """Returns what a bundle's manifest says of it."""
        return TrainedStage(stage=stage, steps=self.steps, last_loss=self.last_loss, consumed_hash=self.consumed_hash)


def train(run: Run) -> Outcome:
    """Do the steps that are left, with a checkpoint every ``checkpoint_every`` and at the end. The learner stays on its device.

    Raises TrainingDivergedError for a loss that is not finite.
    """
    restored = run.checkpoints.restore(run.learner)
    parallel = arrange(run.learner, run.processes, run.machine)
    optimizer = build_optimizer(run.learner, run.config)
    first_step, consumed_hash, loss = 0, NOTHING_CONSUMED, None
    if restored:
        _refuse_other_order(run, restored.manifest)
        parallel.load_optimizer_state(optimizer, restored.optimizer_state)
        first_step, consumed_hash = restored.manifest.step, restored.manifest.consumed_hash
        loss = restored.manifest.last_loss
        say(f"{run.label}: goes on from step {first_step:,}")
    progress = Progress(run.label, run.config.steps, first_step)
    run.learner.train()
    for step in range(first_step, run.config.steps):
        batch = run.mixture.batch(step)
        loss, tokens = _do_step(run, parallel, optimizer, step, batch)
        consumed_hash = consume(consumed_hash, batch.task.name, batch.keys)
        done = step + 1
        progress.add(done, loss, tokens)
        if done % run.checkpoint_every == 0 or done == run.config.steps:
            _save(run, parallel, optimizer, done, consumed_hash, loss)
    learner = parallel.finish()
    learner.eval()
    return Outcome(
        steps=run.config.steps, resumed_from=first_step, consumed_hash=consumed_hash, last_loss=loss, learner=learner
    )


def _save(run: Run, parallel: OneProcess, optimizer: torch.optim.Optimizer, done: int, consumed_hash: str, loss: float) -> None:
    weights, state = parallel.weights(), parallel.optimizer_state(optimizer)
    if run.processes.is_first:
        run.checkpoints.save(weights, state, done, consumed_hash, loss)
    run.processes.wait()


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


def _do_step(
    run: Run, parallel: OneProcess, optimizer: torch.optim.Optimizer, step: int, chosen: StepBatch
) -> tuple[float, int]:
    rank = run.processes.rank
    torch.manual_seed(seed_for("dropout", run.config.seed, step, *([rank] if rank else [])))
    set_learning_rate(optimizer, learning_rate_at(step, run.config))
    task = chosen.task
    batch = task.batch(step, chosen.rows)
    loss = parallel.loss(task, batch, mixed_precision(parallel.device))
    value = run.processes.mean(loss)
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
