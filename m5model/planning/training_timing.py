"""Times steps of training on one core of this machine, by the project's own loop on made texts. Needs the extra m5[train]."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from datasets import Dataset

from m5model.data.token_rows import TokenRows
from m5model.encoders.kinds import build_encoder
from m5model.encoders.presets import CrossAttentionPreset, EncoderPreset
from m5model.planning.shape import shape_of
from m5model.planning.speed import Point
from m5model.runtime.rendering import MARKS
from m5model.tasks import TaskData, mlm
from m5model.training.config import TrainingConfig
from m5model.training.learner import Learner
from m5model.training.loop import Run, train
from m5model.training.mixture import Mixture, StepBatch, mix

STRUCTURED_SHARE = 1 / 3  # of the made texts of encoders of two streams
ROWS = 256


@dataclass(frozen=True, kw_only=True)
class StepShape:
    """States what is timed: a geometry, and how its batches look."""

    preset: EncoderPreset
    length: int  # tokens of every text
    token_budget: int  # tokens of a step


class _Clocked(Mixture):
    """A mixture that notes when each step began."""

    def __init__(self, mixture: Mixture) -> None:
        self._mixture = mixture
        self.began: list[float] = []

    def batch(self, step: int) -> StepBatch:
        self.began.append(time.process_time())
        return self._mixture.batch(step)


def time_steps(shapes: Sequence[StepShape], rounds: int, steps: int) -> list[Point]:
    """Mean CPU seconds of a step of each shape; rounds are interleaved. torch computes with one thread meanwhile."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        taken: dict[int, list[float]] = {place: [] for place in range(len(shapes))}
        for _ in range(rounds):
            for place, shape in enumerate(shapes):
                taken[place] += _time_run(shape, steps)
    finally:
        torch.set_num_threads(threads)
    return [
        Point(
            shape=shape_of(shape.preset),
            rows=shape.token_budget // shape.length,
            length=shape.length,
            seconds=float(np.median(taken[place])),
        )
        for place, shape in enumerate(shapes)
    ]


def _time_run(shape: StepShape, steps: int) -> list[float]:
    """CPU seconds of each of ``steps`` steps, after one that allocates."""
    rows = make_rows(shape.preset, shape.length)
    encoder = build_encoder(shape.preset, seed=1)
    settings = mlm.Settings(token_budget=shape.token_budget)
    task: Any = mlm.build(settings, encoder, TaskData(learn=rows, held_out=rows, seed=0))
    clocked = _Clocked(mix([(task, 1)], "calibrate", 0))
    config = TrainingConfig(steps=steps + 2, learning_rate=1e-4)
    train(Run(label=shape.preset.name, learner=Learner(encoder, [task]), mixture=clocked, config=config))
    return np.diff(clocked.began)[1:].tolist()


def make_rows(preset: EncoderPreset, length: int) -> TokenRows:
    """Made texts of one length; for two streams, a title and then a brand."""
    draw, marks = np.random.default_rng(0), preset.vocabulary_size - len(MARKS)
    ids = draw.integers(5, marks, (ROWS, length))
    if isinstance(preset, CrossAttentionPreset):
        ids[:, 0] = marks
        ids[:, length - round(length * STRUCTURED_SHARE)] = marks + list(MARKS).index("brand")
    return TokenRows(Dataset.from_dict({"ids": ids.tolist()}), np.full(ROWS, length), np.arange(ROWS))
