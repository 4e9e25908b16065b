"""Guards that train for some steps on a few rows, at the run's own learning rate, and put the weights back."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import nn

from m5model.data.randomness import generator_for, seed_for
from m5model.tasks import AnyTask
from m5model.training.guard_subject import ROWS, Guarded, at_most, loss_of, short_rows
from m5model.training.learner import Learner
from m5model.training.schedule import build_optimizer, set_learning_rate
from schemas.figure import Figure

STEPS = 50
WARMUP = 10  # steps
SETTLED = 5  # steps that a low loss must hold for
SHUFFLED_STEPS = 25
# The loss falls to this share of the first one or below. A sane rate gets there in a few steps.
OVERFIT_SHARE = 0.9
# A rate is too high where losses rise by so much of the first one and end above so much of it. Sane rates end far below, and
# one ten times too high still does.
RISE_SHARE, END_SHARE = 0.3, 0.35


def check_overfit(guarded: Guarded) -> Iterator[Figure]:
    """Returns the loss after some steps on a few rows, as a share of the first."""
    for task in guarded.mixture.tasks:
        losses = _trial(guarded, task)
        if losses[0] > 0.1 * math.log(max(2, task.outcomes)):  # else there is nothing to learn
            share = float(np.nanmin(losses)) / losses[0]
            yield at_most(f"overfit_{task.name}_loss_left", share, OVERFIT_SHARE, f"of the first, on {ROWS} rows")


def check_learning_rate(guarded: Guarded) -> Iterator[Figure]:
    """States where losses end, as a share of the first, if they rose much on the way; else nothing is said against the rate."""
    for task in guarded.mixture.tasks:
        losses = np.nan_to_num(_trial(guarded, task), nan=math.inf, posinf=math.inf)
        first = max(losses[0], 1e-9)
        rise = float((losses - np.minimum.accumulate(losses)).max()) / first
        end = float(np.median(losses[-WARMUP:])) / first
        if rise >= RISE_SHARE:
            where = f"of the first loss, after a rise by {rise:.2f} of it, at rate {guarded.config.learning_rate:g}"
            yield at_most(f"learning_rate_{task.name}_end", end, END_SHARE, where)
        else:
            yield at_most(f"learning_rate_{task.name}_rise", rise, RISE_SHARE, "of the first loss")


def check_shuffled_labels(guarded: Guarded) -> Iterator[Figure]:
    """Returns the metric after some steps on labels at random, for tasks whose metric is a share of right answers."""
    for task in guarded.mixture.tasks:
        batches = [task.batch(step, rows) for step, rows in enumerate(_rows_of_steps(task))]
        names = getattr(batches[0], "TARGETS", ())
        if not names or task.lower_is_better or task.name not in guarded.measured:
            continue
        draw = generator_for("shuffled", guarded.config.seed)
        with _restored(guarded.learner):
            _fit(guarded, task, [_shuffle(batch, names, draw) for batch in batches])
            after = task.measure(guarded.learner.eval().encoder)
        floor = max(guarded.measured[task.name], _most_common(batches, names[0]))
        yield at_most(f"shuffled_labels_{task.name}", after, floor + 0.5 * (1 - floor), f"{task.metric}, labels at random")


def _rows_of_steps(task: AnyTask) -> Iterator[np.ndarray]:
    """A few other rows for each step of a trial, short ones."""
    order = short_rows(task, SHUFFLED_STEPS * ROWS)
    for step in range(SHUFFLED_STEPS):
        yield np.take(order, np.arange(step * ROWS, (step + 1) * ROWS), mode="wrap")[: len(order)]


def _trial(guarded: Guarded, task: AnyTask) -> np.ndarray:
    """Losses on the same few rows, at the run's own learning rate and without dropout, until they are learned by heart."""
    if task.name not in guarded.losses:
        batch = task.batch(0, short_rows(task, ROWS))
        with _restored(guarded.learner):
            guarded.losses[task.name] = _fit(guarded, task, [batch] * (STEPS + 1), ends_early=True)
    return guarded.losses[task.name]


def _fit(guarded: Guarded, task: AnyTask, batches: Sequence[Any], *, ends_early: bool = False) -> np.ndarray:
    learner = guarded.learner.eval()
    optimizer = build_optimizer(learner, guarded.config)
    losses = []
    for step, batch in enumerate(batches):
        set_learning_rate(optimizer, guarded.config.learning_rate * min(1.0, (step + 1) / WARMUP))
        loss, _ = loss_of(task, learner, batch)
        losses.append(float(loss.detach()))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(learner.parameters(), guarded.config.clip_norm)
        optimizer.step()
        if ends_early and step > WARMUP and max(losses[-SETTLED:]) <= END_SHARE * losses[0]:
            break
    return np.asarray(losses)


@contextmanager
def _restored(learner: Learner) -> Iterator[None]:
    """Puts the learner's weights back when the block ends."""
    before = {name: tensor.detach().clone() for name, tensor in learner.state_dict().items()}
    torch.manual_seed(seed_for("guards"))
    try:
        yield
    finally:
        learner.load_state_dict(before)
        learner.zero_grad(set_to_none=True)


def _shuffle(batch: Any, names: Sequence[str], draw: np.random.Generator) -> Any:
    order = draw.permutation(len(getattr(batch, names[0])))
    return replace(batch, **{name: getattr(batch, name)[order] for name in names})


def _most_common(batches: Sequence[Any], name: str) -> float:
    """Share of the commonest answer: what guessing always the same gives."""
    _, counts = np.unique(np.concatenate([getattr(batch, name) for batch in batches]), return_counts=True)
    return float(counts.max() / counts.sum())
