"""Trains a small network of click rates by torch: the state of the lowest loss on validate is kept."""

import copy
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits

from m5model.data.randomness import generator_for, seed_for
from m5model.partners.data import PartnerData
from m5model.partners.evaluation.scored import pair_with_truth
from m5model.partners.networks import Network, NetworkSettings, layer_sizes, prepare, scales_of


@dataclass(frozen=True, kw_only=True)
class Rows:
    """Inputs (B, F), click rates (B,) and impressions (B,)."""

    matrix: np.ndarray
    rates: np.ndarray
    impressions: np.ndarray

    @classmethod
    def of(cls, data: PartnerData, rows: np.ndarray, matrix: np.ndarray) -> "Rows":
        """The rows (B,) of ``data``, whose inputs are given."""
        truth = pair_with_truth(data, rows, np.zeros(len(rows)))
        return cls(matrix=matrix, rates=truth.targets, impressions=truth.weights)


def train_network(learned: Rows, validate: Rows, settings: NetworkSettings, seed: int, name: str) -> Network:
    """Cross-entropy of clicks, every impression alike."""
    mean_F, deviation_F = scales_of(learned.matrix)
    layers = _new_layers(learned.matrix.shape[1], settings, seed_for("network", name, seed) % 2**31)
    inputs, held = (torch.from_numpy(prepare(rows.matrix, mean_F, deviation_F)) for rows in (learned, validate))
    optimiser = torch.optim.AdamW(layers.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay)
    best, lowest, waited = copy.deepcopy(layers.state_dict()), _loss(layers, held, validate), 0
    for number in range(settings.rounds):
        _round(layers, inputs, learned, optimiser, settings.rows, (name, seed, number))
        loss = _loss(layers, held, validate)
        waited = 0 if loss < lowest else waited + 1
        if loss < lowest:
            best, lowest = copy.deepcopy(layers.state_dict()), loss
        if waited >= settings.patience:
            break
    layers.load_state_dict(best)
    linear = [layer for layer in layers if isinstance(layer, nn.Linear)]
    return Network(
        mean_F=mean_F,
        deviation_F=deviation_F,
        weights=tuple(layer.weight.detach().numpy().T.copy() for layer in linear),
        biases=tuple(layer.bias.detach().numpy().copy() for layer in linear),
    )


def _new_layers(inputs: int, settings: NetworkSettings, seed: int) -> nn.Sequential:
    """Linear layers with ReLU and dropout between, drawn from the seed alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        parts: list[nn.Module] = []
        for size, width in layer_sizes(inputs, settings.widths):
            parts += [nn.Linear(size, width), nn.ReLU(), nn.Dropout(settings.dropout)]
    return nn.Sequential(*parts[:-2])


def _round(
    layers: nn.Sequential,
    inputs: torch.Tensor,
    rows: Rows,
    optimiser: torch.optim.Optimizer,
    size: int,
    draw: tuple[str, int, int],
) -> None:
    layers.train()
    order = generator_for("network rows", *draw).permutation(len(inputs))
    rates, impressions = (torch.from_numpy(one.astype(np.float32)) for one in (rows.rates, rows.impressions))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_for("dropout", *draw) % 2**31)
        for start in range(0, len(order), size):
            places = torch.from_numpy(order[start : start + size])
            logits = layers(inputs[places])[:, 0]
            losses = binary_cross_entropy_with_logits(logits, rates[places], impressions[places], reduction="sum")
            optimiser.zero_grad()
            (losses / impressions[places].sum()).backward()
            optimiser.step()


@torch.inference_mode()
def _loss(layers: nn.Sequential, inputs: torch.Tensor, rows: Rows) -> float:
    layers.eval()
    rates, impressions = (torch.from_numpy(one.astype(np.float32)) for one in (rows.rates, rows.impressions))
    losses = binary_cross_entropy_with_logits(layers(inputs)[:, 0], rates, impressions, reduction="sum")
    return float(losses / impressions.sum())
