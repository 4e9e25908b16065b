"""The task of relation distillation: tokens of a text relate to each other as they do in a layer of the teacher.

Queries, keys and values of one layer are each cut into relation heads; the products of a part with itself, as probabilities
over the text's tokens, are what the student learns. Sizes and numbers of heads may differ, the tokens may not: both read one
vocabulary. The teacher computes anew in each step, for relations are far larger than vectors and are not kept. Source: MiniLMv2
(Wang et al. 2021).

Tensor suffixes: B rows, L tokens, D hidden size of the student, E of the teacher, H relation heads, d dimensions of a head.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from m5model.data.randomness import generator_for, seed_for
from m5model.distillation.judged import JudgedTexts
from m5model.distillation.taught_task import TaughtTask
from m5model.distillation.teachers import TaughtRows, TaughtTexts, Teacher
from m5model.encoders.attention_parts import attention_parts, require_layer
from m5model.encoders.encoder import TextEncoder
from m5model.tasks import Batching, TaskData
from schemas.checks import is_whole, require
from schemas.errors import ConfigurationError

NAME = "relations"
LAST = -1
MOST_HEADS = 12
MASKED = -1e9  # exp() of it is 0; finite, so that a row of padding is no NaN


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The task's part of a recipe."""

    teacher: str  # bundle id
    layer: int = LAST  # of the teacher, from 0, or from -1 backwards; the student learns with its last one
    heads: int = MOST_HEADS  # relation heads; divide both hidden sizes
    texts: int = 100_000  # of the training set, drawn
    token_budget: int = 2_048  # tokens per step, padding included

    def __post_init__(self) -> None:
        rules = {
            f"heads is {self.heads}, expected 1 or more": is_whole(self.heads, 1),
            f"texts is {self.texts}, expected above 0": is_whole(self.texts, 1),
            f"token_budget is {self.token_budget}, expected above 0": is_whole(self.token_budget, 1),
        }
        require("relations settings", rules)


class Relations(TaughtTask):
    """The task; it has no head. Its logits are queries, keys and values (3, B, L, D) of the student's last layer."""

    def __init__(self, settings: Settings, encoder: TextEncoder, data: TaskData, teacher: Teacher, judged: JudgedTexts) -> None:
        require_layer(encoder, LAST)
        require_layer(teacher.encoder, settings.layer)
        _require_one_vocabulary(data, teacher)
        order = generator_for("relations", data.seed).permutation(len(data.learn.keys))[: settings.texts]
        learn = TaughtTexts(rows=data.learn, chosen=order, vectors=())
        super().__init__(NAME, Batching(token_budget=settings.token_budget), seed_for("relations", data.seed), learn, judged)
        self._settings, self._teacher = settings, teacher.encoder

    def logits(self, encoder: TextEncoder, batch: TaughtRows) -> Tensor:
        return attention_parts(encoder, LAST, *batch.on(encoder.device))

    def loss(self, logits: Tensor, batch: TaughtRows) -> Tensor:
        ids_BL, mask_BL = batch.on(self._teacher.device)
        with torch.no_grad():
            teacher_3BLE = attention_parts(self._teacher, self._settings.layer, ids_BL, mask_BL)
        return relation_loss(logits, teacher_3BLE.to(logits.device), mask_BL.to(logits.device), self._settings.heads)


def relation_loss(student_3BLD: Tensor, teacher_3BLE: Tensor, mask_BL: Tensor, heads: int) -> Tensor:
    """Mean over tokens, heads and parts of the divergence KL(teacher, student) of their relations; 0 is perfect."""
    student, teacher = (_relations(parts.float(), mask_BL, heads) for parts in (student_3BLD, teacher_3BLE))
    divergence_3BHL = (teacher.exp() * (teacher - student)).sum(-1)
    weight_BHL = mask_BL[:, None, :].expand(-1, heads, -1).to(divergence_3BHL.dtype)
    return (divergence_3BHL * weight_BHL).sum() / (len(divergence_3BHL) * weight_BHL.sum())


def heads_for(student: int, teacher: int) -> int:
    """The most relation heads, MOST_HEADS at most, that divide both hidden sizes."""
    return max(count for count in range(1, MOST_HEADS + 1) if math.gcd(student, teacher) % count == 0)


def _relations(parts_3BLD: Tensor, mask_BL: Tensor, heads: int) -> Tensor:
    """Log probabilities (3, B, H, L, L) of each token's relation to all tokens of its text."""
    parts_3BHLd = parts_3BLD.unflatten(-1, (heads, -1)).transpose(2, 3)
    scores_3BHLL = parts_3BHLd @ parts_3BHLd.transpose(-1, -2) / parts_3BHLd.shape[-1] ** 0.5
    hidden_BL = (1 - mask_BL.to(scores_3BHLL.dtype)) * MASKED
    return torch.log_softmax(scores_3BHLL + hidden_BL[:, None, None, :], dim=-1)


def _require_one_vocabulary(data: TaskData, teacher: Teacher) -> None:
    same = data.tokenizer is not None and data.tokenizer.get_vocab() == teacher.tokenizer.get_vocab()
    if not same or data.rendering != teacher.rendering:
        raise ConfigurationError(
            f"relations of tokens cannot be imitated: {teacher.manifest.id} reads other tokens than the student",
            next_step="begin with the teacher (--start-from teacher), or leave --relations out",
        )
