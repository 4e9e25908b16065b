"""Holds what both tasks of a distillation share: a student's vectors of texts that the teachers have read.

Tensor suffixes: B rows, L tokens, D dimensions.
"""

import numpy as np
from torch import Tensor, nn

from m5model.distillation.judged import METRIC, JudgedTexts
from m5model.distillation.teachers import TaughtRows, TaughtTexts, taught_rows
from m5model.encoders.encoder import TextEncoder, sentence_vectors
from m5model.tasks import Batching, Examples


class TaughtTask:
    """A task without its loss; see m5model.tasks.Task. Its logits are the student's unit vectors."""

    metric = METRIC
    lower_is_better = False

    def __init__(self, name: str, batching: Batching, seed: int, learn: TaughtTexts, judged: JudgedTexts) -> None:
        self.name = name
        self.examples = Examples(keys=learn.keys, lengths=learn.lengths)
        self.measured_on = judged.measured_on
        self.outcomes = 1  # it guesses nothing: the loss is a distance
        self.batching = batching
        self.seed = seed
        self.head = nn.Module()
        self._learn = learn
        self._judged = judged

    def batch(self, step: int, rows: np.ndarray) -> TaughtRows:
        return taught_rows(self._learn, rows)

    def logits(self, encoder: TextEncoder, batch: TaughtRows) -> Tensor:
        """Unit vectors (B, D)."""
        return sentence_vectors(encoder, *batch.on(encoder.device))

    def measure(self, encoder: TextEncoder) -> float:
        return self._judged.correlation(encoder)
