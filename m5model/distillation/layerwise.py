"""The task of a student that took some of its teacher's layers: after each, every token has the state that it has there.

A layer that is kept does the work of those that were left out before it. Vectors alone teach that slowly, since they say one
thing a text, and only after the last layer; states say one a token and a layer. The teacher reads the same tokens beside it.
Some steps read pieces of a few tokens (m5model.distillation.short_texts), for queries and names are as short.
Sources: Sun et al. 2019 (patient distillation), Jiao et al. 2020 (TinyBERT: hidden states).

Tensor suffixes: K layers of the student, B rows, L tokens of a row, N tokens of a step, D hidden size.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from m5model.data.randomness import generator_for, seed_for
from m5model.distillation.judged import JudgedTexts
from m5model.distillation.losses import imitation_loss
from m5model.distillation.short_texts import Frame, cut_texts
from m5model.distillation.taught_task import TaughtTask
from m5model.distillation.teachers import TaughtRows, TaughtTexts
from m5model.encoders.encoder import TextEncoder, without_dropout
from m5model.tasks import Batching, TaskData
from schemas.checks import is_number, is_whole, require

NAME = "layers"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The task's part of a recipe."""

    teacher: str  # bundle id: the student began with these layers of it, and reads its vocabulary
    layers: tuple[int, ...]  # of the teacher, by number from 0: those of the student
    texts: int = 100_000  # of the training set, drawn
    token_budget: int = 2_048  # tokens per step, padding included
    short_share: float = 0.0  # of the steps, whose texts are cut into pieces as short as queries

    def __post_init__(self) -> None:
        rules = {
            f"layers are {self.layers}, expected some, rising from 0": bool(self.layers)
            and list(self.layers) == sorted({*self.layers})
            and self.layers[0] >= 0,
            f"texts is {self.texts}, expected above 0": is_whole(self.texts, 1),
            f"token_budget is {self.token_budget}, expected above 0": is_whole(self.token_budget, 1),
            f"short_share is {self.short_share}, expected 0 to 1": is_number(self.short_share, 0, 1),
        }
        require("layers settings", rules)


class Layerwise(TaughtTask):
    """The task; it has no head, for the student's states lie in the teacher's own space."""

    def __init__(
        self, settings: Settings, teacher: TextEncoder, data: TaskData, learn: TaughtTexts, judged: JudgedTexts
    ) -> None:
        super().__init__(NAME, Batching(token_budget=settings.token_budget), seed_for(NAME, data.seed), learn, judged)
        self._teacher = teacher
        self._layers = settings.layers
        self._short_share = settings.short_share
        self._frame = Frame.of(data.tokenizer, data.rendering.prefix) if data.tokenizer and settings.short_share else None

    def batch(self, step: int, rows: np.ndarray) -> TaughtRows:
        whole = super().batch(step, rows)
        draw = generator_for("short texts", self.seed, step)
        if self._frame is None or draw.random() >= self._short_share:
            return whole
        ids_BL, mask_BL = cut_texts(whole.ids_BL, whole.mask_BL, self._frame, draw)
        return replace(whole, ids_BL=ids_BL, mask_BL=mask_BL, tokens=int(mask_BL.sum()))

    def logits(self, encoder: TextEncoder, batch: TaughtRows) -> Tensor:
        """States of all tokens, without padding, after each layer (K, N, D). No dropout: the target has none."""
        with without_dropout(encoder):
            return _states(encoder, batch, range(len(self._layers)))

    def loss(self, logits: Tensor, batch: TaughtRows) -> Tensor:
        """The mean over layers of the squared distance, in units of the spread of the teacher's states."""
        with torch.no_grad():
            teacher_KND = _states(self._teacher, batch, self._layers)
        pairs = zip(logits.float(), teacher_KND.float(), strict=True)
        return torch.stack([imitation_loss(student_ND, teacher_ND) for student_ND, teacher_ND in pairs]).mean()


def _states(encoder: TextEncoder, batch: TaughtRows, layers: Sequence[int]) -> Tensor:
    ids_BL, mask_BL = batch.on(encoder.device)
    states = encoder.layer_states(ids_BL, mask_BL)
    return torch.stack([states[layer][mask_BL.bool()] for layer in layers])
