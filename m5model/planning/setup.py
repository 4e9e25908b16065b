"""States how a run is set up on a fleet, and what a plan assumes where nothing was measured."""

from dataclasses import asdict, dataclass
from typing import Any

from m5model.planning.operations import Texts
from schemas.checks import is_number, is_whole, require

# Bytes a parameter (weights, gradients, optimizer) and of an activation. "mixed": 16-bit, and a 32-bit copy of the weights
# in the optimizer (Rajbhandari et al. 2020, 16 bytes a parameter). "fp32": Adam in 32 bits, 16 bytes as well.
PRECISIONS = {"mixed": (2, 2, 12, 2), "fp32": (4, 4, 8, 4)}
OFFLOADS = ("none", "optimizer", "all")


@dataclass(frozen=True, kw_only=True)
class Setup:
    """States how the model is divided over devices. Raises ConfigurationError that lists every problem at once."""

    zero: int = 0  # 0: every device holds all; 1: optimizer divided; 2: gradients too; 3: weights too
    offload: str = "none"  # what lies in the host's memory: the optimizer with the gradients, or all
    checkpointing: bool = False  # activations are computed again in the backward pass
    micro_batch: int = 1  # samples a device computes at once
    precision: str = "mixed"

    def __post_init__(self) -> None:
        rules = {
            f"zero is {self.zero}, expected 0 to 3": is_whole(self.zero, 0, 3),
            f"offload is {self.offload!r}, expected one of {', '.join(OFFLOADS)}": self.offload in OFFLOADS,
            f"micro_batch is {self.micro_batch}, expected 1 or more": is_whole(self.micro_batch, 1),
            f"precision is {self.precision!r}, expected one of {', '.join(PRECISIONS)}": self.precision in PRECISIONS,
        }
        require("setup", rules)

    def __str__(self) -> str:
        parts = [f"ZeRO-{self.zero}", f"micro-batch {self.micro_batch}", f"{self.precision} precision"]
        parts += [f"{self.offload} offloaded to the host"] if self.offload != "none" else []
        return ", ".join([*parts, "activation checkpointing" if self.checkpointing else "all activations kept"])


@dataclass(frozen=True, kw_only=True)
class Workload:
    """States what is to be learned."""

    tokens: float  # in all
    batch_tokens: float  # of an optimizer step
    texts: Texts

    def __post_init__(self) -> None:
        rules = {
            f"tokens is {self.tokens}, expected 1 or more": is_number(self.tokens, 1),
            f"batch_tokens is {self.batch_tokens}, expected one sample ({self.texts.length:g} tokens) or more": is_number(
                self.batch_tokens, self.texts.length
            ),
        }
        require("workload", rules)

    @property
    def batch_samples(self) -> float:
        return self.batch_tokens / self.texts.length

    @property
    def steps(self) -> float:
        return self.tokens / self.batch_tokens


@dataclass(frozen=True, kw_only=True)
class Assumptions:
    """Figures that nobody measured for this run. A report prints them; each has a flag."""

    efficiency: float = 0.40  # of the peak, while a device computes; model operations, not those of checkpointing
    bandwidth_share: float = 0.50  # of nominal bandwidths that collectives and memory reach
    overlap: float = 0.50  # of the backward pass that can hide communication
    device_spread: float = 0.03  # standard deviation of a micro-batch's time between devices: a step waits for the slowest
    optimizer_bytes: float = 30.0  # read and written a parameter: four 32-bit values in, three out, one 16-bit out
    reserved_gb: float = 2.0  # a device's memory for the CUDA context, NCCL's buffers and fragments
    host_gb_per_s: float = 16.0  # between a device and its host, per device (PCIe 3 x16)
    host_memory_gb_per_s: float = 100.0  # that the optimizer reaches in the host's memory
    failures_per_device_hour: float = 419 / (16_384 * 54 * 24)  # Llama 3 (2024): 419 in 54 days on 16,384 GPUs
    restart_minutes: float = 10.0  # from a failure to the first new step
    storage_gb_per_s: float = 1.0  # that an instance writes its part of a checkpoint with

    def __post_init__(self) -> None:
        shares = ("efficiency", "bandwidth_share", "overlap")
        values: dict[str, Any] = vars(self)
        rules = {f"{name} is {values[name]}, expected 0 to 1": is_number(values[name], 0, 1) for name in shares}
        rules |= {f"{name} is {value}, expected 0 or more": is_number(value, 0) for name, value in values.items()}
        above = ("efficiency", "bandwidth_share", "host_gb_per_s", "host_memory_gb_per_s", "storage_gb_per_s")
        rules |= {f"{name} is {values[name]}, expected above 0": not values[name] <= 0 for name in above}
        require("assumptions", rules)

    def as_json(self) -> dict[str, float]:
        return asdict(self)
