"""The optimiser and its learning rate, a pure function of the step."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from m5model.training.config import TrainingConfig
from m5model.training.learner import Learner


def learning_rate_at(step: int, config: TrainingConfig) -> float:
    """Linear warm-up to the peak, then linear decay to zero at ``config.steps``; ``step`` counts from 0."""
    warmup = max(1, round(config.steps * config.warmup_share))
    if step < warmup:
        return config.learning_rate * (step + 1) / warmup
    return config.learning_rate * max(0.0, (config.steps - step) / max(1, config.steps - warmup))


def build_optimizer(learner: Learner, config: TrainingConfig) -> torch.optim.AdamW:
    """AdamW (Loshchilov and Hutter 2019): matrices are decayed, vectors (biases, layer norms) are not.

    Each group of parameters has a ``factor`` that its learning rate is multiplied by, see `set_learning_rate`.
    """
    groups = [
        group
        for part, factor in ((learner.encoder, 1.0), (learner.heads, config.head_rate))
        for group in _groups([one for one in part.parameters() if one.requires_grad], factor, config.weight_decay)
    ]
    return torch.optim.AdamW(groups, lr=config.learning_rate, betas=(0.9, 0.98), eps=1e-6)


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Give every group of parameters the rate of this step, times the group's factor."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group["factor"]


def _groups(parameters: Sequence[nn.Parameter], factor: float, weight_decay: float) -> list[dict[str, Any]]:
    matrices = [parameter for parameter in parameters if parameter.ndim >= 2]
    vectors = [parameter for parameter in parameters if parameter.ndim < 2]
    return [
        {"params": matrices, "weight_decay": weight_decay, "factor": factor},
        {"params": vectors, "weight_decay": 0.0, "factor": factor},
    ]
