"""The task of a student: give any two texts of a batch the similarity that the teacher gives them.

Tensor suffixes: B rows, D dimensions of the student, E of the teacher, L tokens.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from m5model.data.randomness import seed_for
from m5model.distillation.judged import JudgedTexts
from m5model.distillation.losses import judgement_loss
from m5model.distillation.taught_task import TaughtTask
from m5model.distillation.teachers import TaughtRows, TaughtTexts
from m5model.tasks import Batching, TaskData
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


class Judgements(TaughtTask):
    """The task; it has no head."""

    def __init__(self, settings: Settings, data: TaskData, learn: TaughtTexts, judged: JudgedTexts) -> None:
        super().__init__(NAME, Batching(batch_rows=settings.batch_rows), seed_for("judgements", data.seed), learn, judged)

    def loss(self, logits: Tensor, batch: TaughtRows) -> Tensor:
        return judgement_loss(logits, torch.from_numpy(batch.teacher_BE).to(logits.device))
