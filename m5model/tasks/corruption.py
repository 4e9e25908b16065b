"""Corruption: which of a listing's fields are another listing's? Made on the fly from a training set's rows: no labels needed.

Tensor suffixes: B rows, F fields, D hidden size.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from torch import Tensor, nn

from m5model.data.randomness import generator_for, seed_for
from m5model.encoders.encoder import TextEncoder
from m5model.runtime.rendering import FIELDS, render
from m5model.tasks import Batching, Examples, TaskData
from m5model.tasks._classes import ClassHead
from m5model.tasks._metrics import average_precision
from m5model.tasks._texts import TextBatch, TextPool, encode_all, encode_texts, open_pool, sample_rows
from schemas.checks import is_number, is_whole, require
from schemas.errors import ConfigurationError

NAME = "corruption"
EVALUATION_ROWS = 1_024


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The task's part of a recipe. Raises ConfigurationError that lists every problem at once."""

    batch_rows: int = 32
    share: float = 0.25  # of the fields that a listing has

    def __post_init__(self) -> None:
        require(
            "corruption settings",
            {
                f"batch_rows is {self.batch_rows}, expected 1 or more": is_whole(self.batch_rows, 1),
                f"share is {self.share}, expected above 0 and below 1": is_number(self.share, 0, 1) and 0 < self.share < 1,
            },
        )


@dataclass(frozen=True, kw_only=True)
class CorruptedListings:
    """Listings as texts, with some fields of others."""

    texts: TextBatch
    is_corrupted_BF: np.ndarray  # float32
    has_field_BF: np.ndarray  # bool: fields that a listing has not cannot be corrupted

    @property
    def tokens(self) -> int:
        return self.texts.tokens


class Listings:
    """Rows of a training set, and which of them have which field."""

    def __init__(self, rows: Dataset) -> None:
        self._rows = rows.select_columns(list(FIELDS))
        self.has_field_NF = np.concatenate([_has_fields(batch) for batch in self._rows.iter(1_000)])
        self._donors = [np.flatnonzero(has) for has in self.has_field_NF.T]

    def corrupt(self, rows: np.ndarray, share: float, draw: np.random.Generator) -> tuple[list[dict[str, Any]], np.ndarray]:
        """The listings with other rows' fields in them, and which fields those are (B, F).

        A field that gets the value that it had is not corrupted.
        """
        wanted_BF = (draw.random((len(rows), len(FIELDS))) < share) & self.has_field_NF[rows]
        listings = _rows_of(self._rows[[int(row) for row in rows]])
        is_corrupted_BF = np.zeros_like(wanted_BF)
        for row, field in zip(*np.nonzero(wanted_BF), strict=True):
            donor = int(draw.choice(self._donors[field]))
            value, name = self._rows[donor][FIELDS[field]], FIELDS[field]
            is_corrupted_BF[row, field] = value != listings[row][name]
            listings[row][name] = value
        return listings, is_corrupted_BF


class Corruption:
    """The task; see m5model.tasks.Task."""

    metric = "average_precision"  # over the fields that listings have
    lower_is_better = False
    outcomes = 2

    def __init__(self, settings: Settings, head: ClassHead, data: TaskData) -> None:
        if data.learn.columns is None or data.held_out.columns is None:
            raise ConfigurationError("task corruption has no columns", next_step="give TokenRows the training set's columns")
        self.name = NAME
        self.examples = Examples(keys=data.learn.keys, lengths=data.learn.lengths)
        self.batching = Batching(batch_rows=settings.batch_rows)
        self.seed = seed_for(NAME, data.seed)
        self.head = head
        self._data = data
        self._share = settings.share
        self._learn = Listings(data.learn.columns)
        self._held_out = self._corrupt_held_out(Listings(data.held_out.columns))
        self.measured_on = f"{len(self._held_out[1]):,} held-out rows"

    def batch(self, step: int, rows: np.ndarray) -> CorruptedListings:
        listings, is_corrupted_BF = self._learn.corrupt(rows, self._share, generator_for("corruption", self.seed, step))
        texts = open_pool([render(listing, self._data.rendering) for listing in listings], self._data)
        return CorruptedListings(
            texts=texts.batch(np.arange(len(rows))),
            is_corrupted_BF=is_corrupted_BF.astype(np.float32),
            has_field_BF=self._learn.has_field_NF[rows],
        )

    def logits(self, encoder: TextEncoder, batch: CorruptedListings) -> Tensor:
        """Logits (B, F)."""
        logits_BF: Tensor = self.head(encode_texts(encoder, batch.texts))
        return logits_BF

    def loss(self, logits: Tensor, batch: CorruptedListings) -> Tensor:
        is_corrupted_BF, has_field_BF = (
            torch.from_numpy(array).to(logits.device) for array in (batch.is_corrupted_BF, batch.has_field_BF)
        )
        losses_BF = nn.functional.binary_cross_entropy_with_logits(logits.float(), is_corrupted_BF, reduction="none")
        return (losses_BF * has_field_BF).sum() / has_field_BF.sum().clamp(min=1)

    @torch.no_grad()
    def measure(self, encoder: TextEncoder) -> float:
        pool, is_corrupted_NF, has_field_NF = self._held_out
        logits_NF = self.head(encode_all(encoder, pool, np.arange(len(is_corrupted_NF)))).float().cpu().numpy()
        return average_precision(logits_NF[has_field_NF], is_corrupted_NF[has_field_NF])

    def _corrupt_held_out(self, listings: Listings) -> tuple[TextPool, np.ndarray, np.ndarray]:
        rows = sample_rows(self._data.held_out.keys, EVALUATION_ROWS)
        made, is_corrupted_NF = listings.corrupt(rows, self._share, generator_for("held-out corruption"))
        pool = open_pool([render(listing, self._data.rendering) for listing in made], self._data)
        return pool, is_corrupted_NF, listings.has_field_NF[rows]


def build(settings: Settings, encoder: TextEncoder, data: TaskData) -> Corruption:
    """The task on these rows, with a new head for this encoder (drawn from torch's generator)."""
    return Corruption(settings, ClassHead.new(encoder, len(FIELDS)), data)


def _has_fields(batch: Mapping[str, list[Any]]) -> np.ndarray:
    return np.stack([[bool(value) for value in batch[field]] for field in FIELDS], axis=1)


def _rows_of(batch: Mapping[str, list[Any]]) -> list[dict[str, Any]]:
    return [dict(zip(batch, values, strict=True)) for values in zip(*batch.values(), strict=True)]
