"""Holds the training tasks, one file each: a file that is put beside these is a task by its own name.

A task's module holds

    class Settings                              a frozen dataclass: the task's part of a recipe
    def build(settings, encoder, data) -> Task  its examples and its head, from a training set's rows or a label set's
    LABELS = "pairs"                            the kind of label set that it learns from; left out where it needs none

and the loop (m5model.training) does the rest. What several tasks share lies in files that begin with ``_``. Tensor suffixes in
tasks: B rows, L tokens, D hidden size, V vocabulary, N texts, C classes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np

from m5model.runtime.rendering import DEFAULT_RENDERING, Rendering
from schemas.checks import require

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from torch import Tensor, nn

    from m5model.data.label_sets import LabelSet
    from m5model.data.token_rows import TokenRows
    from m5model.encoders.encoder import TextEncoder


@dataclass(frozen=True, kw_only=True)
class Batching:
    """How many examples make a batch: as many as fit a token budget, of like length; or a fixed number of any lengths."""

    token_budget: int = 0  # tokens per step, padding included
    batch_rows: int = 0

    def __post_init__(self) -> None:
        both = f"token_budget {self.token_budget} and batch_rows {self.batch_rows}"
        require("batching", {f"{both}, expected one above 0 and the other 0": _is_one_of(self.token_budget, self.batch_rows)})


@dataclass(frozen=True, kw_only=True)
class Examples:
    """Keys and lengths of the examples that a task learns from."""

    keys: np.ndarray  # (n,) int64: of the listings; the consumed hash runs over them
    lengths: np.ndarray  # (n,) int64 tokens


class TaskBatch(Protocol):
    """The tensors of one step; what else they are is between a task and itself.

    A class that has TARGETS, names of its fields (B, …) that say what is true of each row, lets guards look at these.
    """

    @property
    def tokens(self) -> int:
        """Returns tokens that go through the model."""


Batch = TypeVar("Batch", bound=TaskBatch)


class Task(Protocol[Batch]):
    """One thing to learn. Everything random in it is a function of its seed and the step."""

    name: str
    examples: Examples
    batching: Batching
    seed: int  # of the order of its examples
    head: nn.Module  # trained with the encoder and kept beside it; without parameters where the task needs none
    metric: str  # what ``measure`` gives, e.g. "held_out_loss"
    lower_is_better: bool  # of the metric
    measured_on: str  # e.g. "1,024 held-out rows"
    outcomes: int  # a guess has so many outcomes, all alike to who knows nothing: its loss is log(outcomes)

    def batch(self, step: int, rows: np.ndarray) -> Batch:
        """Returns the model's input for the examples ``rows`` (B,) int64 in this step."""
        raise NotImplementedError

    def logits(self, encoder: TextEncoder, batch: Batch) -> Tensor:
        """Returns the output of encoder and head. Runs in mixed precision where there is a GPU."""
        raise NotImplementedError

    def loss(self, logits: Tensor, batch: Batch) -> Tensor:
        """Returns a scalar, float32."""
        raise NotImplementedError

    def measure(self, encoder: TextEncoder) -> float:
        """Returns the metric on examples never learned from; the same examples every time."""
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class TaskData:
    """The rows of one training set, as tokens and with their columns, and a label set: tasks are built from them."""

    learn: TokenRows
    held_out: TokenRows  # never learned from
    seed: int
    labels: LabelSet | None = None  # of the kind that the task's LABELS says
    tokenizer: Tokenizer | None = None  # of the encoder; None only where no task needs it
    max_tokens: int = 0
    rendering: Rendering = DEFAULT_RENDERING  # of the training set's rows


AnyTask = Task[Any]


def _is_one_of(first: int, second: int) -> bool:
    return (first > 0) != (second > 0) and min(first, second) == 0
