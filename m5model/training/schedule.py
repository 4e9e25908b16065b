"""The optimiser and its learning rate, a pure function of the step."""

import torch
from torch import nn

from m5model.training.config import TrainingConfig


def learning_rate_at(step: int, config: TrainingConfig) -> float:
    """Linear warm-up to the peak, then linear decay to zero at ``config.steps``; ``step`` counts from 0."""
    warmup = max(1, round(config.steps * config.warmup_share))
    if step < warmup:
        return config.learning_rate * (step + 1) / warmup
    return config.learning_rate * max(0.0, (config.steps - step) / max(1, config.steps - warmup))


def build_optimizer(model: nn.Module, config: TrainingConfig) -> torch.optim.AdamW:
    """AdamW (Loshchilov and Hutter 2019): matrices are decayed, vectors (biases, layer norms) are not."""
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    groups = [
        {"params": [parameter for parameter in trained if parameter.ndim >= 2], "weight_decay": config.weight_decay},
        {"params": [parameter for parameter in trained if parameter.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=config.learning_rate, betas=(0.9, 0.98), eps=1e-6)
