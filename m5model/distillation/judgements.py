"""The task of a student: give any two texts of a batch the similarity that the teacher gives them.

Tensor suffixes: B rows, D dimensions of the student, E of the teacher, L tokens.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from m5model.data.randomness import seed_for
from m5model.data.token_rows import TokenRows
from m5model.distillation.losses import judgement_loss
from m5model.encoders.device import mixed_precision
from m5model.encoders.encoder import TextEncoder, sentence_vectors
from m5model.export.parity import pair_correlation
from m5model.tasks import Batching, Examples, TaskData
from schemas.checks import is_whole, require

NAME = "judgement"
# Pairs of so many held-out texts are compared before and after: 512 texts are 130,816 pairs.
JUDGED_ROWS = 512
EVALUATION_ROWS = 32  # rows of a call


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The task's part of a recipe."""

    teacher: str  # bundle id
    batch_rows: int = 64  # texts compared with each other in a step

    def __post_init__(self) -> None:
        enough = f"batch_rows is {self.batch_rows}, expected 3 or more, so that similarities can differ"
        require("judgement settings", {enough: is_whole(self.batch_rows, 3)})


@dataclass(frozen=True, kw_only=True)
class TeacherRows:
    """A teacher, which is only read, and the training set's rows as its tokens."""

    encoder: TextEncoder
    learn: TokenRows
    held_out: TokenRows


@dataclass(frozen=True, kw_only=True)
class JudgedRows:
    """The texts of a step as the student reads them, and the teacher's vectors of them."""

    ids_BL: np.ndarray
    mask_BL: np.ndarray
    teacher_BE: Tensor
    tokens: int  # without padding


class Judgements:
    """The task; see m5model.tasks.Task. Its logits are the student's unit vectors, and it has no head."""

    metric = "correlation"  # Pearson, over pairs of held-out texts, of both encoders' similarities
    lower_is_better = False

    def __init__(self, settings: Settings, data: TaskData, teacher: TeacherRows) -> None:
        self.name = NAME
        self.examples = Examples(keys=data.learn.keys, lengths=data.learn.lengths)
        self.measured_on = f"{min(JUDGED_ROWS, len(data.held_out.keys)):,} held-out rows"
        self.outcomes = 1  # it guesses nothing: the loss is a distance
        self.batching = Batching(batch_rows=settings.batch_rows)
        self.seed = seed_for("judgements", data.seed)
        self.head = nn.Module()
        self._data = data
        self._teacher = teacher

    def batch(self, step: int, rows: np.ndarray) -> JudgedRows:
        ids_BL, mask_BL = self._data.learn.padded(rows)
        with torch.no_grad():
            teacher_BE = encode_rows(self._teacher.encoder, self._teacher.learn, rows)
        tokens = int(self.examples.lengths[rows].sum())
        return JudgedRows(ids_BL=ids_BL, mask_BL=mask_BL, teacher_BE=teacher_BE, tokens=tokens)

    def logits(self, encoder: TextEncoder, batch: JudgedRows) -> Tensor:
        """Unit vectors (B, D)."""
        ids_BL, mask_BL = (torch.from_numpy(array).to(encoder.device) for array in (batch.ids_BL, batch.mask_BL))
        return sentence_vectors(encoder, ids_BL, mask_BL)

    def loss(self, logits: Tensor, batch: JudgedRows) -> Tensor:
        return judgement_loss(logits, batch.teacher_BE)

    @torch.inference_mode()
    def measure(self, encoder: TextEncoder) -> float:
        chosen = np.argsort(self._data.held_out.keys, kind="stable")[:JUDGED_ROWS]
        student_BD = _vectors(encoder, self._data.held_out, chosen)
        return pair_correlation(student_BD, _vectors(self._teacher.encoder, self._teacher.held_out, chosen))


def encode_rows(encoder: TextEncoder, rows: TokenRows, batch: np.ndarray) -> Tensor:
    """Unit vectors (B, D) float32 of these rows, on the encoder's device."""
    ids_BL, mask_BL = (torch.from_numpy(array).to(encoder.device) for array in rows.padded(batch))
    with mixed_precision(encoder.device):
        return sentence_vectors(encoder, ids_BL, mask_BL)


def _vectors(encoder: TextEncoder, rows: TokenRows, chosen: np.ndarray) -> np.ndarray:
    encoder.eval()
    starts = range(0, len(chosen), EVALUATION_ROWS)
    parts = [encode_rows(encoder, rows, chosen[start : start + EVALUATION_ROWS]).cpu() for start in starts]
    vectors: np.ndarray = torch.cat(parts).numpy()
    return vectors
