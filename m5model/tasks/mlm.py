"""Masked language modelling: the head, the loss, and the loss on held-out rows.

Tensor suffixes: B rows, L tokens, D hidden size, M tokens to guess, V vocabulary.
"""

import numpy as np
import torch
from torch import Tensor, nn
from transformers import DistilBertModel

from m5model.data.randomness import generator_for
from m5model.data.token_rows import BatchOrder, TokenRows
from m5model.tasks.masking import mask_tokens
from m5model.training.checkpoints import Checkpoints
from m5model.training.config import TrainingConfig
from m5model.training.loop import Outcome, Run, StepLoss, choose_device, mixed_precision, train

# Held-out loss is taken over at most so many rows, in batches of so many tokens.
EVALUATION_ROWS = 1_024
EVALUATION_TOKENS = 8_192


class MaskedLanguageModel(nn.Module):
    """An encoder and its guessing head (Devlin et al. 2019): dense, GELU, layer norm, then the word embeddings transposed."""

    def __init__(self, encoder: DistilBertModel) -> None:
        super().__init__()
        self.encoder = encoder
        self.dense = nn.Linear(encoder.config.dim, encoder.config.dim)
        self.norm = nn.LayerNorm(encoder.config.dim, eps=1e-12)
        self.bias = nn.Parameter(torch.zeros(encoder.config.vocab_size))
        nn.init.normal_(self.dense.weight, std=encoder.config.initializer_range)
        nn.init.zeros_(self.dense.bias)

    def forward(self, ids_BL: Tensor, mask_BL: Tensor, chosen_BL: Tensor) -> Tensor:
        """Logits (M, V) of the chosen tokens alone: with 200,000 tokens in the vocabulary the rest would not fit memory."""
        hidden_BLD = self.encoder(input_ids=ids_BL, attention_mask=mask_BL).last_hidden_state
        guessed_MD = self.norm(nn.functional.gelu(self.dense(hidden_BLD[chosen_BL])))
        return guessed_MD @ self.encoder.embeddings.word_embeddings.weight.T + self.bias


def pretrain(
    model: MaskedLanguageModel, rows: TokenRows, config: TrainingConfig, content_hash: str, checkpoints: Checkpoints, label: str
) -> Outcome:
    """Train ``model`` in place on rows of the training set with that content hash."""
    device = choose_device(config)
    model.to(device)

    def loss(step: int, batch: np.ndarray) -> StepLoss:
        ids_BL, mask_BL = rows.padded(batch)
        total, guesses = _loss_sum(model, ids_BL, mask_BL, config.mask_share, generator_for("mask", config.seed, step))
        return StepLoss(total / max(1, guesses), ids_BL.size)

    order = BatchOrder(rows.lengths, content_hash=content_hash, seed=config.seed, token_budget=config.token_budget)
    return train(Run(label=label, model=model, config=config, order=order, keys=rows.keys, loss=loss, checkpoints=checkpoints))


@torch.no_grad()
def held_out_loss(model: MaskedLanguageModel, rows: TokenRows, config: TrainingConfig) -> float:
    """Mean cross-entropy (nats per guessed token) on rows never learned from, with masks that are the same every time."""
    model.to(choose_device(config)).eval()
    order = np.argsort(rows.keys, kind="stable")[:EVALUATION_ROWS]
    size = max(1, EVALUATION_TOKENS // int(rows.lengths[order].max()))
    losses, guesses = 0.0, 0
    for start in range(0, len(order), size):
        ids_BL, mask_BL = rows.padded(order[start : start + size])
        total, count = _loss_sum(model, ids_BL, mask_BL, config.mask_share, generator_for("held-out mask", start))
        losses, guesses = losses + float(total), guesses + count
    return losses / max(1, guesses)


def _loss_sum(
    model: MaskedLanguageModel, ids_BL: np.ndarray, mask_BL: np.ndarray, share: float, generator: np.random.Generator
) -> tuple[Tensor, int]:
    """Summed cross-entropy over the guessed tokens of a batch, and how many they are."""
    device = model.bias.device
    masked = mask_tokens(ids_BL, model.bias.numel(), share, generator)
    chosen_BL = torch.from_numpy(masked.chosen_BL)
    with mixed_precision(device):
        logits_MV = model(
            torch.from_numpy(masked.ids_BL).to(device), torch.from_numpy(mask_BL).to(device), chosen_BL.to(device)
        )
    targets_M = torch.from_numpy(ids_BL)[chosen_BL].to(device)
    return nn.functional.cross_entropy(logits_MV.float(), targets_M, reduction="sum"), int(chosen_BL.sum())
