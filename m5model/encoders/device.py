"""Chooses the device, threads and precision that torch computes with. Nothing here is part of a recipe."""

import os

import torch

from schemas.errors import ConfigurationError

DEVICES = ("auto", "cpu", "cuda")


def choose_device(device: str, threads: int = 0) -> torch.device:
    """``auto`` is CUDA where there is a GPU, else the CPU, with ``threads`` threads (0: as many as cores).

    Raises ConfigurationError for cuda without a GPU.
    """
    if threads:
        torch.set_num_threads(threads)
    if device == "cuda" and not torch.cuda.is_available():
        raise ConfigurationError(
            "device cuda, but torch sees no GPU", next_step="give --device cpu, or install a CUDA build of torch"
        )
    if device == "cpu" or not torch.cuda.is_available():
        return torch.device("cpu")
    own = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))  # of several processes on a machine each has its own
    torch.cuda.set_device(own)
    return own


def mixed_precision(device: torch.device) -> torch.autocast:
    """bfloat16 where there is a GPU; float32 as it is on CPU."""
    return torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda")
