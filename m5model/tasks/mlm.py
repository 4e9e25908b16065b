"""Masked language modelling: guess the tokens that were hidden. Source: Devlin et al. 2019.

Tensor suffixes: B rows, L tokens, D hidden size, M tokens to guess, V vocabulary.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from m5model.data.randomness import generator_for
from m5model.data.token_rows import TokenRows
from m5model.data.vocabulary import MASK_ID, SPECIAL_TOKENS
from m5model.encoders.device import mixed_precision
from m5model.encoders.encoder import TextEncoder
from m5model.tasks import Batching, Examples, TaskData
from schemas.checks import is_number, is_whole, require

NAME = "mlm"
# Of the chosen tokens: 80% are masked, 10% become another token, 10% stay.
MASKED_SHARE = 0.8
RANDOM_SHARE = 0.1
# Held-out loss is taken over at most so many rows, in batches of so many tokens.
EVALUATION_ROWS = 1_024
EVALUATION_TOKENS = 8_192


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The task's part of a recipe. Raises ConfigurationError that lists every problem at once."""

    token_budget: int = 2_048  # tokens per step, padding included
    mask_share: float = 0.15  # of tokens to guess

    def __post_init__(self) -> None:
        require(
            "mlm settings",
            {
                f"token_budget is {self.token_budget}, expected 16 or more tokens": is_whole(self.token_budget, 16),
                f"mask_share is {self.mask_share}, expected above 0 and below 1": is_number(self.mask_share, 0, 1)
                and 0 < self.mask_share < 1,
            },
        )


@dataclass(frozen=True, kw_only=True)
class MaskedTokens:
    """Token ids with holes, and what was there."""

    ids_BL: np.ndarray  # int64, with holes
    mask_BL: np.ndarray  # int64
    chosen_BL: np.ndarray  # bool: must be guessed
    targets_M: np.ndarray  # int64, of the chosen

    @property
    def tokens(self) -> int:
        return self.ids_BL.size


class GuessingHead(nn.Module):
    """Dense, GELU, layer norm, then the word embeddings transposed (Devlin et al. 2019)."""

    def __init__(self, encoder: TextEncoder) -> None:
        super().__init__()
        self.dense = nn.Linear(encoder.hidden_size, encoder.hidden_size)
        self.norm = nn.LayerNorm(encoder.hidden_size, eps=1e-12)
        self.bias = nn.Parameter(torch.zeros(encoder.vocabulary_size))
        nn.init.normal_(self.dense.weight, std=encoder.initial_deviation)
        nn.init.zeros_(self.dense.bias)

    def forward(self, hidden_MD: Tensor, table_VD: Tensor) -> Tensor:
        """Logits (M, V)."""
        guessed_MD = self.norm(nn.functional.gelu(self.dense(hidden_MD)))
        return guessed_MD @ table_VD.T + self.bias


class MaskedLanguageModelling:
    """The task; see m5model.tasks.Task."""

    metric = "held_out_loss"  # mean cross-entropy, nats per guessed token
    lower_is_better = True

    def __init__(self, settings: Settings, head: GuessingHead, data: TaskData) -> None:
        self.name = NAME
        self.examples = Examples(keys=data.learn.keys, lengths=data.learn.lengths)
        self.batching = Batching(token_budget=settings.token_budget)
        self.seed = data.seed
        self.measured_on = f"{min(EVALUATION_ROWS, len(data.held_out.keys)):,} held-out rows"
        self.outcomes = head.bias.numel()
        self.head = head
        self._share = settings.mask_share
        self._learn = data.learn
        self._held_out = data.held_out

    def batch(self, step: int, rows: np.ndarray) -> MaskedTokens:
        return self._hide(self._learn, rows, generator_for("mask", self.seed, step))

    def logits(self, encoder: TextEncoder, batch: MaskedTokens) -> Tensor:
        """Logits (M, V) of the chosen tokens alone: with 200,000 tokens in the vocabulary the rest would not fit memory."""
        ids_BL, mask_BL, chosen_BL = (
            torch.from_numpy(array).to(encoder.device) for array in (batch.ids_BL, batch.mask_BL, batch.chosen_BL)
        )
        logits_MV: Tensor = self.head(encoder.hidden_states(ids_BL, mask_BL)[chosen_BL], encoder.token_table)
        return logits_MV

    def loss(self, logits: Tensor, batch: MaskedTokens) -> Tensor:
        return _loss_sum(logits, batch) / max(1, len(batch.targets_M))

    @torch.no_grad()
    def measure(self, encoder: TextEncoder) -> float:
        losses, guesses = 0.0, 0
        for batch in self._held_out_batches():
            with mixed_precision(encoder.device):
                logits_MV = self.logits(encoder, batch)
            losses += float(_loss_sum(logits_MV, batch))
            guesses += len(batch.targets_M)
        return losses / max(1, guesses)

    def _held_out_batches(self) -> Iterator[MaskedTokens]:
        order = np.argsort(self._held_out.keys, kind="stable")[:EVALUATION_ROWS]
        size = max(1, EVALUATION_TOKENS // int(self._held_out.lengths[order].max()))
        for start in range(0, len(order), size):
            yield self._hide(self._held_out, order[start : start + size], generator_for("held-out mask", start))

    def _hide(self, rows: TokenRows, chosen: np.ndarray, generator: np.random.Generator) -> MaskedTokens:
        ids_BL, mask_BL = rows.padded(chosen)
        return mask_tokens(ids_BL, mask_BL, self.head.bias.numel(), self._share, generator)


def build(settings: Settings, encoder: TextEncoder, data: TaskData) -> MaskedLanguageModelling:
    """The task on these rows, with a new head for this encoder (drawn from torch's generator)."""
    return MaskedLanguageModelling(settings, GuessingHead(encoder), data)


def mask_tokens(
    ids_BL: np.ndarray, mask_BL: np.ndarray, vocabulary_size: int, share: float, generator: np.random.Generator
) -> MaskedTokens:
    """Choose ``share`` of the tokens that are not special (at least one of the batch, where there is any) and hide them."""
    maskable_BL = ids_BL >= len(SPECIAL_TOKENS)
    chosen_BL = (generator.random(ids_BL.shape) < share) & maskable_BL
    if not chosen_BL.any() and maskable_BL.any():
        chosen_BL.flat[np.flatnonzero(maskable_BL)[0]] = True
    fate_BL = generator.random(ids_BL.shape)
    random_BL = generator.integers(len(SPECIAL_TOKENS), vocabulary_size, ids_BL.shape)
    hidden_BL = np.where(chosen_BL & (fate_BL < MASKED_SHARE), MASK_ID, ids_BL)
    is_random_BL = chosen_BL & (fate_BL >= MASKED_SHARE) & (fate_BL < MASKED_SHARE + RANDOM_SHARE)
    return MaskedTokens(
        ids_BL=np.where(is_random_BL, random_BL, hidden_BL), mask_BL=mask_BL, chosen_BL=chosen_BL, targets_M=ids_BL[chosen_BL]
    )


def _loss_sum(logits_MV: Tensor, batch: MaskedTokens) -> Tensor:
    """Cross-entropy, summed over the guessed tokens."""
    targets_M = torch.from_numpy(batch.targets_M).to(logits_MV.device)
    return nn.functional.cross_entropy(logits_MV.float(), targets_M, reduction="sum")
