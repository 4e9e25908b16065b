"""One of many classes from a text's vector: what product type, brand and every other task on classes share.

Tensor suffixes: B rows, D hidden size, C classes.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from m5model.data.label_sets import LabelSet
from m5model.data.randomness import seed_for
from m5model.encoders.encoder import TextEncoder
from m5model.tasks import Batching, Examples, TaskData
from m5model.tasks._texts import (
    Indexed,
    TextBatch,
    TextPool,
    encode_all,
    encode_texts,
    open_pool,
    require_labels,
    require_rows,
    sample_rows,
)
from schemas.checks import is_whole, require
from schemas.errors import ConfigurationError

KIND = "classes"
# Accuracy is taken over at most so many rows.
EVALUATION_ROWS = 2_048
UNKNOWN = -1  # a class that was never learned: always wrong

# The text that a row's class is told from, without what would give the answer away; empty where nothing is left.
TextOf = Callable[[Mapping[str, Any], LabelSet], str]


@dataclass(frozen=True, kw_only=True)
class ClassSettings:
    """A classification's part of a recipe. Raises ConfigurationError that lists every problem at once."""

    scheme: str  # rows of the label set with this scheme
    token_budget: int = 2_048  # tokens per step, padding included

    def __post_init__(self) -> None:
        require(
            "classification settings",
            {
                "scheme is empty": bool(self.scheme),
                f"token_budget is {self.token_budget}, expected 16 or more tokens": is_whole(self.token_budget, 16),
            },
        )


@dataclass(frozen=True, kw_only=True)
class ClassRows:
    """Rows of one split: texts as places in a pool, and classes as numbers."""

    texts: np.ndarray  # (n,) int64
    classes: np.ndarray  # (n,) int64, UNKNOWN for one that the learn split does not have
    keys: np.ndarray  # (n,) int64


@dataclass(frozen=True, kw_only=True)
class ClassBatch:
    """Texts and their classes."""

    TARGETS: ClassVar = ("classes_B",)
    texts: TextBatch
    classes_B: np.ndarray  # int64

    @property
    def tokens(self) -> int:
        return self.texts.tokens


class ClassHead(nn.Linear):
    """Logits (B, C) of unit vectors (B, D), which are first brought to a length of sqrt(D), as hidden states have."""

    @classmethod
    def new(cls, encoder: TextEncoder, outcomes: int) -> "ClassHead":
        """A new head for this encoder, drawn from torch's generator."""
        head = cls(encoder.hidden_size, outcomes)
        nn.init.normal_(head.weight, std=encoder.initial_deviation)
        nn.init.zeros_(head.bias)
        return head

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input * self.in_features**0.5)


class Classification:
    """The task; see m5model.tasks.Task."""

    metric = "accuracy"
    lower_is_better = False

    def __init__(
        self, name: str, settings: ClassSettings, head: ClassHead, pool: TextPool, rows: Mapping[str, ClassRows], seed: int
    ) -> None:
        self.name = name
        self.head = head
        self.outcomes = head.out_features
        self.batching = Batching(token_budget=settings.token_budget)
        self.seed = seed
        self._pool = pool
        self._rows = rows
        self._learn = rows["learn"]
        self.examples = Examples(keys=self._learn.keys, lengths=pool.lengths[self._learn.texts])
        self._chosen = sample_rows(rows["validate"].keys, EVALUATION_ROWS)
        self.measured_on = f"{len(self._chosen):,} rows of the split validate"

    def batch(self, step: int, rows: np.ndarray) -> ClassBatch:
        return ClassBatch(texts=self._pool.batch(self._learn.texts[rows]), classes_B=self._learn.classes[rows])

    def logits(self, encoder: TextEncoder, batch: ClassBatch) -> Tensor:
        """Logits (B, C)."""
        logits_BC: Tensor = self.head(encode_texts(encoder, batch.texts))
        return logits_BC

    def loss(self, logits: Tensor, batch: ClassBatch) -> Tensor:
        return nn.functional.cross_entropy(logits.float(), torch.from_numpy(batch.classes_B).to(logits.device))

    def measure(self, encoder: TextEncoder) -> float:
        guessed = self.guesses(encoder, "validate")[self._chosen]
        return float((guessed == self._rows["validate"].classes[self._chosen]).mean())

    @torch.no_grad()
    def guesses(self, encoder: TextEncoder, split: str) -> np.ndarray:
        """The likeliest class (n,) int64 of every row of a split; only the measured rows are computed of ``validate``."""
        rows = self._rows[split]
        chosen = self._chosen if split == "validate" else np.arange(len(rows.keys))
        guessed = np.full(len(rows.keys), UNKNOWN - 1)
        guessed[chosen] = self.head(encode_all(encoder, self._pool, rows.texts[chosen])).argmax(1).cpu().numpy()
        return guessed


def build_classification(
    name: str, settings: ClassSettings, encoder: TextEncoder, data: TaskData, text_of: TextOf
) -> Classification:
    """The task on the rows of the settings' scheme, with a new head (drawn from torch's generator).

    Classes are those of the split to learn from, sorted. Raises ConfigurationError where there are fewer than two.
    """
    labels = require_labels(name, KIND, data)
    found = {split: list(_rows_of(rows, labels, settings.scheme, text_of)) for split, rows in labels.splits.items()}
    for split in ("learn", "validate"):
        require_rows(name, found[split], split, labels)
    classes = sorted({label for _, label, _ in found["learn"]})
    if len(classes) < 2:
        raise ConfigurationError(
            f"task {name}: label set {labels.name} has {len(classes)} class of scheme {settings.scheme}, expected 2 or more",
            next_step="name another scheme in the task's settings, or another label set",
        )
    numbers = {label: number for number, label in enumerate(classes)}
    indexed = Indexed.of(*([text for text, _, _ in rows] for rows in found.values()))
    rows = {
        split: ClassRows(
            texts=places,
            classes=np.asarray([numbers.get(label, UNKNOWN) for _, label, _ in listed], np.int64),
            keys=np.asarray([key for _, _, key in listed], np.int64),
        )
        for (split, listed), places in zip(found.items(), indexed.places, strict=True)
    }
    head = ClassHead.new(encoder, len(classes))
    seed = seed_for(name, labels.manifest.content_hash, data.seed)
    return Classification(name, settings, head, open_pool(indexed.texts, data), rows, seed)


def _rows_of(rows: Any, labels: LabelSet, scheme: str, text_of: TextOf) -> Any:
    for row in rows:
        if row["scheme"] == scheme and (text := text_of(row, labels)):
            yield text, row["label"], row["key"]
