"""The task of a student: give any two texts of a batch the similarity that the teacher gives them.

Tensor suffixes: B rows, D dimensions of the student, E of the teacher, L tokens.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from m5model.data.randomness import seed_for
from m5model.distillation.judged import METRIC, JudgedTexts
from m5model.distillation.losses import judgement_loss
from m5model.distillation.teachers import TaughtRows, TaughtTexts, taught_rows
from m5model.encoders.encoder import TextEncoder, sentence_vectors
from m5model.tasks import Batching, Examples, TaskData
from schemas.checks import is_whole, require

NAME = "judgement"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The task's part of a recipe."""

    teachers: tuple[str, ...]  # bundle ids
    texts: int = 100_000  # of the training set, drawn, that the teachers read
    batch_rows: int = 64  # texts compared with each other in a step

    def __post_init__(self) -> None:
        enough = f"batch_rows is {self.batch_rows}, expected 3 or more, so that similarities can differ"
        texts = f"texts is {self.texts}, expected above 0"
        require("judgement settings", {enough: is_whole(self.batch_rows, 3), texts: is_whole(self.texts, 1)})


class Judgements:
    """The task; see m5model.tasks.Task. Its logits are the student's unit vectors, and it has no head."""

    metric = METRIC
    lower_is_better = False

    def __init__(self, settings: Settings, data: TaskData, learn: TaughtTexts, judged: JudgedTexts) -> None:
        self.name = NAME
        self.examples = Examples(keys=learn.keys, lengths=learn.lengths)
        self.measured_on = judged.measured_on
        self.outcomes = 1  # it guesses nothing: the loss is a distance
        self.batching = Batching(batch_rows=settings.batch_rows)
        self.seed = seed_for("judgements", data.seed)
        self.head = nn.Module()
        self._learn = learn
        self._judged = judged

    def batch(self, step: int, rows: np.ndarray) -> TaughtRows:
        return taught_rows(self._learn, rows)

    def logits(self, encoder: TextEncoder, batch: TaughtRows) -> Tensor:
        """Unit vectors (B, D)."""
        ids_BL, mask_BL = (torch.from_numpy(array).to(encoder.device) for array in (batch.ids_BL, batch.mask_BL))
        return sentence_vectors(encoder, ids_BL, mask_BL)

    def loss(self, logits: Tensor, batch: TaughtRows) -> Tensor:
        return judgement_loss(logits, torch.from_numpy(batch.teacher_BE).to(logits.device))

    def measure(self, encoder: TextEncoder) -> float:
        return self._judged.correlation(encoder)
