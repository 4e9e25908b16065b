"""The task of a student's first steps: give every text the vector that the teachers give it.

The student's vector goes through a projection into the space of all teachers side by side. The projection is learned with the
student and thrown away. The first 64, 128 and 256 dimensions have projections of their own, so that the beginning of a vector
says much by itself (Kusupati et al. 2022). A student as wide as its one teacher needs no projection for the whole vector and
lands in the teacher's own space. Source: LEAF (Vujanic and Rueckstiess 2025).

Tensor suffixes: B rows, D dimensions of the student, E of the teachers, P of a prefix.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from m5model.data.randomness import seed_for
from m5model.distillation.judged import JudgedTexts
from m5model.distillation.losses import imitation_loss, spread_loss
from m5model.distillation.taught_task import TaughtTask
from m5model.distillation.teachers import TaughtRows, TaughtTexts
from m5model.distillation.vectors import encode_all
from m5model.encoders.encoder import TextEncoder, without_dropout
from m5model.tasks import Batching, TaskData
from schemas.checks import is_number, is_whole, require

NAME = "imitation"
# Texts from which the projections are solved before the first step; then the loss begins where a linear map ends.
FITTED_TEXTS = 1_024
RIDGE = 1e-3  # of the mean squared component, against directions that the student does not use


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The task's part of a recipe."""

    teachers: tuple[str, ...]  # bundle ids
    texts: int = 100_000  # of the training set, drawn, that the teachers read
    token_budget: int = 4_096  # tokens per step, padding included
    prefixes: tuple[int, ...] = (64, 128, 256)  # dimensions, beside all of them
    spread: float = 0.0  # weight of the term that spreads vectors over the sphere

    def __post_init__(self) -> None:
        rules = {
            f"texts is {self.texts}, expected above 0": is_whole(self.texts, 1),
            f"token_budget is {self.token_budget}, expected above 0": is_whole(self.token_budget, 1),
            f"prefixes are {self.prefixes}, expected whole numbers above 0": all(is_whole(one, 1) for one in self.prefixes),
            f"spread is {self.spread}, expected 0 or more": is_number(self.spread, 0),
        }
        require("imitation settings", rules)


class Imitation(TaughtTask):
    """The task; its head are the projections."""

    def __init__(
        self, settings: Settings, encoder: TextEncoder, data: TaskData, learn: TaughtTexts, judged: JudgedTexts
    ) -> None:
        batching = Batching(token_budget=settings.token_budget)
        super().__init__(NAME, batching, seed_for("imitation", data.seed), learn, judged)
        self.head = fit_projections(encoder, learn, settings.prefixes)
        self._settings = settings

    def loss(self, logits: Tensor, batch: TaughtRows) -> Tensor:
        teacher_BE = torch.from_numpy(batch.teacher_BE).to(logits.device)
        losses = [imitation_loss(guess_BE, teacher_BE) for guess_BE in self.head(logits.float())]
        loss = torch.stack(losses).mean()
        return loss + self._settings.spread * spread_loss(logits) if self._settings.spread else loss


class Projections(nn.Module):
    """One linear map per prefix of the student's vector into the teachers' space, and one of the whole unless it lies there."""

    def __init__(self, widths: Sequence[int], size: int) -> None:
        super().__init__()
        self.maps = nn.ModuleDict({str(width): nn.Linear(width, size) for width in widths})

    def forward(self, student_BD: Tensor) -> list[Tensor]:
        """Guesses (B, E) of the teachers' vectors, one per map, and the student's own where it is of that size."""
        guesses = [linear(student_BD[:, : int(width)]) for width, linear in self.maps.items()]
        lies_there = str(student_BD.shape[1]) not in self.maps
        return [*guesses, student_BD] if lies_there else guesses


def fit_projections(encoder: TextEncoder, learn: TaughtTexts, prefixes: Sequence[int]) -> Projections:
    """The projections that fit best before any training: ridge regression on the first texts, with an intercept."""
    size, hidden = learn.dimensions, encoder.hidden_size
    widths = [width for width in sorted(set(prefixes)) if width < hidden]
    widths += [] if size == hidden and len(learn.vectors) == 1 else [hidden]
    places = np.arange(min(FITTED_TEXTS, len(learn.chosen)))
    with without_dropout(encoder):
        student_BD = encode_all(encoder, learn.rows, learn.chosen[places]).astype(np.float64)
    teacher_BE = learn.targets(places).astype(np.float64)
    projections = Projections(widths, size)
    for width in widths:
        weight, bias = _solve(student_BD[:, :width], teacher_BE)
        linear = projections.maps[str(width)]
        linear.load_state_dict({"weight": torch.from_numpy(weight), "bias": torch.from_numpy(bias)})
    return projections


def _solve(student_BP: np.ndarray, teacher_BE: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weight (E, P) and bias (E,) float32 of the linear map with the least squared error."""
    student_mean, teacher_mean = student_BP.mean(axis=0), teacher_BE.mean(axis=0)
    centred_BP = student_BP - student_mean
    gram_PP = centred_BP.T @ centred_BP
    gram_PP += np.eye(len(gram_PP)) * max(RIDGE * np.trace(gram_PP) / len(gram_PP), 1e-12)
    weight_PE = np.linalg.solve(gram_PP, centred_BP.T @ (teacher_BE - teacher_mean))
    bias_E = teacher_mean - student_mean @ weight_PE
    return np.ascontiguousarray(weight_PE.T, np.float32), bias_E.astype(np.float32)
