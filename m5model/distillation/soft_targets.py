"""The task of soft targets: how surely two texts are one product, as a cross-encoder says it and as labels say it.

The student's logit of a pair is its cosine through a scale and a bias, both learned. With the temperature T, the weight w of
true labels y, the student's logit z and the cross-encoder's t:

    w · BCE(z, y)  +  (1 - w) · T² · KL(sigmoid(t / T), sigmoid(z / T))

T² keeps the gradient's size whatever the temperature. Sources: Hinton et al. 2015; on pairs, augmented SBERT (Thakur et al.
2021). Tensor suffixes: B pairs.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from m5model.encoders.encoder import TextEncoder
from m5model.tasks import TaskData
from m5model.tasks._pairs import PairBatch, PairMetric, PairSettings, PairTask, build_pairs
from m5model.tasks._texts import require_labels
from m5model.tasks.duplicates import read_pairs, score_pairs
from schemas.checks import is_number, is_whole, require
from schemas.labels import PAIRS

NAME = "soft_targets"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The task's part of a recipe."""

    cross_encoder: str  # bundle id
    temperature: float = 2.0  # of both logits
    label_weight: float = 0.5  # of true labels, against the cross-encoder's
    pairs: int = 100_000  # of the split learn, in the order of their keys, that the cross-encoder reads
    token_budget: int = 2_048  # tokens per step of both texts, padding included

    def __post_init__(self) -> None:
        warm = is_number(self.temperature, 0) and self.temperature > 0
        rules = {
            f"temperature is {self.temperature}, expected above 0": warm,
            f"label_weight is {self.label_weight}, expected 0 to 1": is_number(self.label_weight, 0, 1),
            f"pairs is {self.pairs}, expected above 0": is_whole(self.pairs, 1),
            f"token_budget is {self.token_budget}, expected 16 or more tokens": is_whole(self.token_budget, 16),
        }
        require("soft targets settings", rules)


@dataclass(frozen=True, kw_only=True)
class SoftBatch:
    """Pairs of a step, and the cross-encoder's logits of them."""

    TARGETS: ClassVar = ("targets_B", "soft_B")
    pairs: PairBatch
    soft_B: np.ndarray  # float32

    @property
    def targets_B(self) -> np.ndarray:
        return self.pairs.targets_B

    @property
    def tokens(self) -> int:
        return self.pairs.tokens


class SoftTargets:
    """The task; its head is that of a task on pairs."""

    lower_is_better = False
    outcomes = 1  # the loss is a divergence in part, so a blind guess has no one loss

    def __init__(self, settings: Settings, task: PairTask, soft: np.ndarray) -> None:
        self.name = NAME
        self.head: nn.Module = task.head
        self.examples, self.batching, self.seed = task.examples, task.batching, task.seed
        self.metric, self.measured_on = task.metric, task.measured_on
        self._settings, self._task, self._soft = settings, task, soft

    def batch(self, step: int, rows: np.ndarray) -> SoftBatch:
        return SoftBatch(pairs=self._task.batch(step, rows), soft_B=self._soft[rows])

    def logits(self, encoder: TextEncoder, batch: SoftBatch) -> Tensor:
        """Logits (B,)."""
        return self._task.logits(encoder, batch.pairs)

    def loss(self, logits: Tensor, batch: SoftBatch) -> Tensor:
        labels_B, soft_B = (torch.from_numpy(array).to(logits.device) for array in (batch.targets_B, batch.soft_B))
        return soft_loss(logits.float(), labels_B, soft_B, self._settings.temperature, self._settings.label_weight)

    def measure(self, encoder: TextEncoder) -> float:
        return self._task.measure(encoder)


def soft_loss(logits_B: Tensor, labels_B: Tensor, soft_B: Tensor, temperature: float, label_weight: float) -> Tensor:
    """Mean over pairs, see the top of this file. ``labels`` are 0 and 1, ``soft`` are the cross-encoder's logits."""
    entropy_of = nn.functional.binary_cross_entropy_with_logits
    hard = entropy_of(logits_B, labels_B)
    target_B = torch.sigmoid(soft_B / temperature)
    divergence = entropy_of(logits_B / temperature, target_B) - entropy_of(soft_B / temperature, target_B)
    return label_weight * hard + (1 - label_weight) * temperature**2 * divergence


def build(settings: Settings, encoder: TextEncoder, data: TaskData, soft: np.ndarray) -> SoftTargets:
    """The task on the pairs of the split learn that ``soft`` (n,) are the logits of."""
    labels = require_labels(NAME, PAIRS.name, data)
    learn = labels.splits["learn"].select(range(len(soft)))
    pairs = {"learn": read_pairs(learn), "validate": read_pairs(labels.splits["validate"])}
    metric = PairMetric(name="average_precision", score=score_pairs)
    task = build_pairs(NAME, PairSettings(token_budget=settings.token_budget), encoder, data, pairs, metric)
    return SoftTargets(settings, task, soft)
