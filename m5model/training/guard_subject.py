"""What guards look at, and what they have in common: a few rows, a loss, a figure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from torch import Tensor

from m5model.data.label_sets import LabelSet
from m5model.data.token_rows import TokenRows
from m5model.encoders.device import mixed_precision
from m5model.tasks import AnyTask
from m5model.training.config import TrainingConfig
from m5model.training.learner import Learner
from m5model.training.mixture import Mixture
from schemas.figure import Figure

ROWS = 8  # of a task's batch that guards look at
SHOWN = 5  # names in a message


@dataclass(frozen=True, kw_only=True)
class Guarded:
    """What guards look at: the learner on its device, and what it is about to be trained on."""

    stage: str
    learner: Learner
    mixture: Mixture
    config: TrainingConfig
    learn: TokenRows
    held_out: TokenRows
    was_trained: bool = False  # the encoder comes with weights that were trained before
    new: tuple[str, ...] = ()  # weights of it that are known to be new
    frozen: tuple[str, ...] = ()  # weights of the encoder that are not to be trained, by the beginning of their names
    label_sets: Mapping[str, LabelSet] = field(default_factory=dict)  # by task
    measured: Mapping[str, float] = field(default_factory=dict)  # each task's metric, before training
    losses: dict[str, np.ndarray] = field(default_factory=dict)  # of each task's trial, kept for the guards that share it


def at_most(name: str, value: float, threshold: float, where: str = "") -> Figure:
    return Figure(
        name=f"guard_{name}", value=value, bound="at most", threshold=threshold, holds=value <= threshold, measured_on=where
    )


def at_least(name: str, value: float, threshold: float, where: str = "") -> Figure:
    return Figure(
        name=f"guard_{name}", value=value, bound="at least", threshold=threshold, holds=value >= threshold, measured_on=where
    )


def list_some(names: Sequence[str]) -> str:
    return ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN:,} more" if len(names) > SHOWN else "")


def first_rows(task: AnyTask, most: int = ROWS) -> np.ndarray:
    """Returns the same few rows every time: those of the smallest keys."""
    return np.argsort(task.examples.keys, kind="stable")[:most]


def short_rows(task: AnyTask, count: int) -> np.ndarray:
    """Returns the shortest of the first rows, for trials of many steps; the same ones every time."""
    pool = first_rows(task, 16 * count)
    rows: np.ndarray = pool[np.argsort(task.examples.lengths[pool], kind="stable")[:count]]
    return rows


def loss_of(task: AnyTask, learner: Learner, batch: Any) -> tuple[Tensor, Tensor]:
    with mixed_precision(learner.encoder.device):
        logits = task.logits(learner.encoder, batch)
    return task.loss(logits, batch), logits
