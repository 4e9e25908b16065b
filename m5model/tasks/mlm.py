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
    guesses: float  # what the loss is divided by: tokens to guess, or their mean over the parts of a divided batch

    @property
    def tokens(self) -> int:
        return self.ids_BL.size


@dataclass(frozen=True, kw_only=True)
class Hiding:
    """How an encoder's tokens are hidden."""

    share: float  # of the guessable tokens
    mask_id: int
    guessable: np.ndarray  # int64, sorted: tokens that may be hidden, and that may stand in another's place
    is_guessable_V: np.ndarray  # bool

    @classmethod
    def of(cls, encoder: TextEncoder, share: float) -> "Hiding":
        guessable = encoder.guessable_ids
        is_guessable_V = np.zeros(encoder.vocabulary_size, bool)
        is_guessable_V[guessable] = True
        return cls(share=share, mask_id=encoder.mask_id, guessable=guessable, is_guessable_V=is_guessable_V)


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
        """Returns logits (M, V)."""
        guessed_MD = self.norm(nn.functional.gelu(self.dense(hidden_MD)))
        return guessed_MD @ table_VD.T + self.bias


class MaskedLanguageModelling:
    """The task; see m5model.tasks.Task."""

    metric = "held_out_loss"  # mean cross-entropy, nats per guessed token
    lower_is_better = True

    def __init__(self, settings: Settings, head: GuessingHead, data: TaskData, hiding: Hiding) -> None:
        self.name = NAME
        self.examples = Examples(keys=data.learn.keys, lengths=data.learn.lengths)
        self.batching = Batching(token_budget=settings.token_budget)
        self.seed = data.seed
        self.measured_on = f"{min(EVALUATION_ROWS, len(data.held_out.keys)):,} held-out rows"
        self.outcomes = head.bias.numel()
        self.head = head
        self._hiding = hiding
        self._learn = data.learn
        self._held_out = data.held_out

    def batch(self, step: int, rows: np.ndarray) -> MaskedTokens:
        return self._hide(self._learn, rows, generator_for("mask", self.seed, step))

    def logits(self, encoder: TextEncoder, batch: MaskedTokens) -> Tensor:
        """Makes logits (M, V) of the chosen tokens alone: with 200,000 tokens in the vocabulary the rest would fill memory."""
        ids_BL, mask_BL, chosen_BL = (
            torch.from_numpy(array).to(encoder.device) for array in (batch.ids_BL, batch.mask_BL, batch.chosen_BL)
        )
        logits_MV: Tensor = self.head(encoder.hidden_states(ids_BL, mask_BL)[chosen_BL], encoder.token_table)
        return logits_MV

    def loss(self, logits: Tensor, batch: MaskedTokens) -> Tensor:
        return _loss_sum(logits, batch) / (batch.guesses or 1.0)

    def divide(self, batch: MaskedTokens, part: int, parts: int) -> MaskedTokens:
        """Every ``parts``-th row of a batch from row ``part`` on: the mean of the parts' losses is the loss of the batch."""
        rows = np.arange(part, len(batch.ids_BL), parts)
        own = np.zeros_like(batch.chosen_BL)
        own[rows] = batch.chosen_BL[rows]
        rows = rows if len(rows) else np.zeros(1, np.int64)  # with nothing to guess in it
        return MaskedTokens(
            ids_BL=batch.ids_BL[rows],
            mask_BL=batch.mask_BL[rows],
            chosen_BL=own[rows],
            targets_M=batch.targets_M[own[batch.chosen_BL]],
            guesses=batch.guesses / parts,
        )

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
        return mask_tokens(ids_BL, mask_BL, self._hiding, generator)


def build(settings: Settings, encoder: TextEncoder, data: TaskData) -> MaskedLanguageModelling:
    """Returns the task on these rows, with a new head for this encoder (drawn from torch's generator)."""
    return MaskedLanguageModelling(settings, GuessingHead(encoder), data, Hiding.of(encoder, settings.mask_share))


def mask_tokens(ids_BL: np.ndarray, mask_BL: np.ndarray, hiding: Hiding, generator: np.random.Generator) -> MaskedTokens:
    """Choose a share of the guessable tokens (at least one of the batch, where there is any) and hide them."""
    maskable_BL = hiding.is_guessable_V[ids_BL] & mask_BL.astype(bool)
    chosen_BL = (generator.random(ids_BL.shape) < hiding.share) & maskable_BL
    if not chosen_BL.any() and maskable_BL.any():
        chosen_BL.flat[np.flatnonzero(maskable_BL)[0]] = True
    fate_BL = generator.random(ids_BL.shape)
    random_BL = hiding.guessable[generator.integers(0, len(hiding.guessable), ids_BL.shape)]
    hidden_BL = np.where(chosen_BL & (fate_BL < MASKED_SHARE), hiding.mask_id, ids_BL)
    is_random_BL = chosen_BL & (fate_BL >= MASKED_SHARE) & (fate_BL < MASKED_SHARE + RANDOM_SHARE)
    targets_M = ids_BL[chosen_BL]
    return MaskedTokens(
        ids_BL=np.where(is_random_BL, random_BL, hidden_BL),
        mask_BL=mask_BL,
        chosen_BL=chosen_BL,
        targets_M=targets_M,
        guesses=float(len(targets_M)),
    )


def _loss_sum(logits_MV: Tensor, batch: MaskedTokens) -> Tensor:
    """Cross-entropy, summed over the guessed tokens."""
    targets_M = torch.from_numpy(batch.targets_M).to(logits_MV.device)
    return nn.functional.cross_entropy(logits_MV.float(), targets_M, reduction="sum")
