"""A dry run: every stage is prepared, a few steps of each are timed, and no weight is changed."""

import time
from dataclasses import dataclass, field

import torch

from m5model.training.shares import PlannedTask
from m5model.training.stages import LearnTasks, Model, RunContext, prepare

# Steps that are timed; one before them warms up.
TIMED_STEPS = 4


@dataclass(frozen=True, kw_only=True)
class StageEstimate:
    """An estimate of one stage of training."""

    stage: str
    steps: int
    tokens: int  # through the model, padding included: the mean of the timed steps, times all steps
    seconds: float  # of forward and backward passes on this machine; what measuring and checkpoints take comes on top
    measured_on: str
    tasks: tuple[PlannedTask, ...]


@dataclass
class Rehearsal:
    """Runs the training stages of a recipe as a dry run and collects their estimates. Other stages run as they are."""

    estimates: list[StageEstimate] = field(default_factory=list)

    def learn_tasks(self, stage: LearnTasks, model: Model, context: RunContext) -> Model:
        """A runner of LearnTasks that trains nothing."""
        learner, mixture = prepare(stage, model, context)
        learner.train()
        steps = min(stage.training.steps, 1 + TIMED_STEPS)
        seconds, tokens = [], []
        for step in range(steps):
            chosen = mixture.batch(step)
            started = time.monotonic()
            batch = chosen.task.batch(step, chosen.rows)
            torch.manual_seed(step)
            chosen.task.loss(chosen.task.logits(learner.encoder, batch), batch).backward()
            learner.zero_grad(set_to_none=True)
            seconds.append(time.monotonic() - started)
            tokens.append(batch.tokens)
        learner.eval()
        learner.encoder.requires_grad_(True)
        timed = seconds[1:] or seconds
        self.estimates.append(
            StageEstimate(
                stage=stage.stage,
                steps=stage.training.steps,
                tokens=round(sum(tokens) / max(1, len(tokens)) * stage.training.steps),
                seconds=round(sum(timed) / max(1, len(timed)) * stage.training.steps, 1),
                measured_on=f"{len(timed)} steps on {learner.encoder.device}",
                tasks=tuple(mixture.plan(stage.training.steps)),
            )
        )
        return Model(**{**model.__dict__, "encoder": learner.encoder})
