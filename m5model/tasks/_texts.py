"""Texts of a label set as tokens, and batches of them that compute little padding.

A text that occurs in many rows is tokenised once, and encoded once a batch. Tensor suffixes: N texts, L tokens, D hidden size.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from tokenizers import Tokenizer
from torch import Tensor

from m5model.data.label_sets import LabelSet
from m5model.data.token_rows import pad_ids
from m5model.encoders.device import mixed_precision
from m5model.encoders.encoder import TextEncoder, sentence_vectors
from m5model.runtime.rendering import render
from m5model.tasks import TaskData
from schemas.errors import ConfigurationError

# A part of a batch holds texts of like length: it ends where texts become this much shorter, unless it is as small as that.
PART_LENGTHS = 0.75
PART_TEXTS = 8
# Texts that are measured are encoded in batches of so many tokens.
EVALUATION_TOKENS = 8_192


@dataclass(frozen=True, kw_only=True)
class TextBatch:
    """Different texts in parts of like length, longest first, and where each text of the batch is among them."""

    parts: tuple[tuple[np.ndarray, np.ndarray], ...]  # ids_NL int64 padded with 0, mask_NL int64
    places: np.ndarray  # (N,) int64: a text's row in all parts one after the other

    @property
    def tokens(self) -> int:
        return sum(ids_NL.size for ids_NL, _ in self.parts)


class TextPool:
    """Different texts (or pairs of texts that are read together) as token ids, in one array."""

    def __init__(self, texts: Sequence[Any], tokenizer: Tokenizer, max_tokens: int) -> None:
        tokenizer.no_padding()
        tokenizer.enable_truncation(max_tokens)
        encoded = [
            np.asarray(encoding.ids, np.int32)
            for start in range(0, len(texts), 10_000)
            for encoding in tokenizer.encode_batch_fast(list(texts[start : start + 10_000]))
        ]
        self.lengths = np.asarray([len(ids) for ids in encoded], np.int64)
        self._ids = np.concatenate(encoded) if encoded else np.zeros(0, np.int32)
        self._starts = np.concatenate([[0], np.cumsum(self.lengths)])

    def batch(self, texts: np.ndarray) -> TextBatch:
        """The texts (N,) int64, repeated ones encoded once."""
        unique, inverse = np.unique(texts, return_inverse=True)
        order = np.argsort(-self.lengths[unique], kind="stable")
        places = np.empty(len(unique), np.int64)
        places[order] = np.arange(len(unique))
        parts = tuple(self._pad(part) for part in self._cut(unique[order]))
        return TextBatch(parts=parts, places=places[inverse])

    def _cut(self, texts: np.ndarray) -> Iterable[np.ndarray]:
        start = 0
        for end in range(1, len(texts)):
            is_shorter = self.lengths[texts[end]] < PART_LENGTHS * self.lengths[texts[start]]
            if is_shorter and end - start >= PART_TEXTS:
                yield texts[start:end]
                start = end
        yield texts[start:]

    def _pad(self, texts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return pad_ids([self._ids[self._starts[text] : self._starts[text + 1]].tolist() for text in texts])


def encode_texts(encoder: TextEncoder, batch: TextBatch) -> Tensor:
    """Unit vectors (N, D) float32 of the batch's texts, in its order."""
    vectors = []
    for arrays in batch.parts:
        ids_NL, mask_NL = (torch.from_numpy(array).to(encoder.device) for array in arrays)
        vectors.append(sentence_vectors(encoder, ids_NL, mask_NL))
    return torch.cat(vectors)[torch.from_numpy(batch.places).to(encoder.device)]


@torch.no_grad()
def encode_all(encoder: TextEncoder, pool: TextPool, texts: np.ndarray) -> Tensor:
    """Unit vectors (N, D) float32 of any number of texts, longest first, without gradients, on the encoder's device."""
    unique, inverse = np.unique(texts, return_inverse=True)
    order = np.argsort(-pool.lengths[unique], kind="stable")
    vectors_ND = torch.empty(len(unique), encoder.hidden_size, device=encoder.device)
    start = 0
    with mixed_precision(encoder.device):
        while start < len(order):
            end = start + max(1, EVALUATION_TOKENS // int(pool.lengths[unique[order[start]]]))
            chosen = order[start:end]
            vectors_ND[torch.from_numpy(chosen).to(encoder.device)] = encode_texts(encoder, pool.batch(unique[chosen]))
            start = end
    return vectors_ND[torch.from_numpy(inverse).to(encoder.device)]


@dataclass(frozen=True, kw_only=True)
class Indexed:
    """Lists of texts as places in one list of different texts."""

    texts: list[Any]
    places: tuple[np.ndarray, ...]  # one (n,) int64 for each list

    @classmethod
    def of(cls, *lists: Sequence[Any]) -> "Indexed":
        found: dict[Any, int] = {}
        places = tuple(np.asarray([found.setdefault(text, len(found)) for text in texts], np.int64) for texts in lists)
        return cls(texts=list(found), places=places)


def open_pool(texts: Sequence[Any], data: TaskData, cut: int = 0) -> TextPool:
    """The texts as tokens of the run's vocabulary, ``cut`` of each at most; 0: as many as the encoder reads."""
    if data.tokenizer is None:
        raise ConfigurationError("a task on labels has no vocabulary", next_step="give TaskData its tokenizer and max_tokens")
    return TextPool(texts, data.tokenizer, min(data.max_tokens, cut or data.max_tokens))


def require_labels(name: str, kind: str, data: TaskData) -> LabelSet:
    """The task's label set. Raises ConfigurationError where there is none, or one of another kind."""
    if data.labels is None:
        raise ConfigurationError(f"task {name} names no label set", next_step=f"name one of kind {kind}; see m5 sets list")
    if data.labels.manifest.kind != kind:
        raise ConfigurationError(
            f"task {name} learns from {kind}, label set {data.labels.name} holds {data.labels.manifest.kind}",
            next_step=f"name a label set of kind {kind}; see m5 sets list",
        )
    return data.labels


def require_rows(name: str, rows: Dataset | Sequence[Any], split: str, labels: LabelSet) -> None:
    """Raise ConfigurationError where a split has nothing that the task can use."""
    if not len(rows):
        raise ConfigurationError(
            f"label set {labels.name} has no row in its split {split} that task {name} can use",
            next_step="import it with other --shares, or a larger feed",
        )


def sample_rows(keys: np.ndarray, most: int) -> np.ndarray:
    """Places of at most ``most`` rows (n,) int64: those whose keys are smallest, so the same rows every time."""
    return np.sort(np.argsort(keys, kind="stable")[:most])


def without_fields(row: Mapping[str, Any], labels: LabelSet, *fields: str) -> str:
    """The row's text rendered without some fields of its listing. A text that the label brought has no fields, and stays."""
    listing = labels.listing(row)
    if listing is None:
        return str(row["text"])
    shown = tuple(name for name in labels.rendering.fields if name not in fields)
    return render(listing, replace(labels.rendering, fields=shown))
