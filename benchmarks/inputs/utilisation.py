"""How much of a GPU's arithmetic a training step uses: counted operations of the model, by time and by the GPU's peak."""

import time
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from torch.utils.flop_counter import FlopCounterMode

from m5model.data.token_rows import TokenRows
from m5model.encoders.device import mixed_precision
from m5model.encoders.kinds import build_encoder
from m5model.encoders.presets import get_preset
from m5model.runtime.rendering import MARKS
from m5model.tasks import TaskData, mlm
from m5model.training.config import Machine, TrainingConfig
from m5model.training.learner import Learner
from m5model.training.schedule import build_optimizer
from m5model.training.task_setup import fit_to

# Dense bfloat16, operations a second, as NVIDIA states them; by a part of the device's name.
PEAKS = {"H100": 989e12, "H200": 989e12, "A100": 312e12, "L40S": 362e12, "V100": 125e12}
LISTING = (24, 24)  # tokens of text and of structured data around which made listings lie


def measure_utilisation(
    name: str, *, token_budget: int = 32_768, steps: int = 10, machine: Machine | None = None
) -> dict[str, Any]:
    """``model_flops_utilisation`` of steps of masked language modelling; None, with a reason, where there is no GPU."""
    if not torch.cuda.is_available():
        return {"model_flops_utilisation": None, "utilisation_reason": "torch sees no GPU on this machine"}
    peak = next((value for part, value in PEAKS.items() if part in torch.cuda.get_device_name()), None)
    if peak is None:
        return {"model_flops_utilisation": None, "utilisation_reason": f"no peak is known of {torch.cuda.get_device_name()}"}
    operations, seconds, tokens = time_steps(name, "cuda", token_budget, steps, machine or Machine())
    return {
        "model_flops_utilisation": round(operations / seconds / peak, 3),
        "utilisation_reason": f"{name}, {token_budget:,} tokens a step, {tokens / seconds:,.0f} tokens/s",
        "utilisation_device": torch.cuda.get_device_name(),
    }


def time_steps(name: str, device: str, token_budget: int, steps: int, machine: Machine) -> tuple[float, float, int]:
    """Operations of the products of matrices, seconds, and tokens of ``steps`` steps, forward, backward and optimiser."""
    preset = get_preset(name)
    rows = _make_rows(preset.vocabulary_size, preset.max_tokens)
    encoder = build_encoder(preset, seed=1)
    task = mlm.build(mlm.Settings(token_budget=token_budget), encoder, TaskData(learn=rows, held_out=rows, seed=0))
    learner = Learner(encoder, [task]).to(device).train()
    optimizer = build_optimizer(learner, TrainingConfig(steps=steps, learning_rate=1e-4))
    count = max(1, token_budget // int(rows.lengths.mean()))
    batches = [task.batch(step, np.arange(step * count, (step + 1) * count) % len(rows.lengths)) for step in range(steps)]

    def step(batch: mlm.MaskedTokens) -> None:
        with mixed_precision(learner.encoder.device):
            logits = task.logits(learner.encoder, batch)
        optimizer.zero_grad(set_to_none=True)
        task.loss(logits, batch).backward()
        optimizer.step()

    counter = FlopCounterMode(display=False)
    with counter:  # before memory is saved: what is computed twice counts once
        step(batches[0])
    fit_to(encoder, machine)
    step(batches[0])
    _synchronize(device)
    started = time.perf_counter()
    for batch in batches:
        step(batch)
    _synchronize(device)
    tokens = sum(int(batch.mask_BL.sum()) for batch in batches)
    return counter.get_total_flops() * tokens / int(batches[0].mask_BL.sum()), time.perf_counter() - started, tokens


def _make_rows(vocabulary_size: int, max_tokens: int) -> TokenRows:
    """Made listings: a title, then a brand, both of random words, cut to the model's length."""
    draw, marks = np.random.default_rng(0), vocabulary_size - len(MARKS)
    brand = marks + list(MARKS).index("brand")
    ids = []
    for _ in range(4_096):
        text, structure = (draw.integers(5, marks, max(2, int(draw.poisson(size)))).tolist() for size in LISTING)
        ids.append([2, marks, *text, brand, *structure, 3][:max_tokens])
    return TokenRows(Dataset.from_dict({"ids": ids}), np.asarray([len(row) for row in ids]), np.arange(len(ids)))


def _synchronize(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()
