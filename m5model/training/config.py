"""Settings of one training: what decides its outcome, and, apart from that, what it runs on."""

from dataclasses import dataclass

from m5model.encoders.device import DEVICES
from schemas.checks import MAX_WHOLE, is_number, is_whole, require

PARALLEL = ("ddp", "fsdp")
# What is checked before a stage trains, see training.guards.
GUARDS = (
    "weights",
    "leakage",
    "targets",
    "padding",
    "gradients",
    "chance",
    "logits",
    "overfit",
    "learning_rate",
    "shuffled_labels",
)
# Peak learning rate of heads over an encoder that others trained: docs/decisions/2026-11-28-heads-that-learn.md.
HEADS_RATE = 3e-3


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """The settings that decide the outcome of a training. Raises ConfigurationError that lists every problem at once."""

    steps: int  # optimiser steps
    learning_rate: float  # peak, of the encoder
    # Of the tasks' heads, times the rate above. A head begins at random, the encoder with what it knows.
    head_rate: float = 1.0
    seed: int = 0  # of order, masks and dropout
    warmup_share: float = 0.06  # of the steps; post-layer-norm blocks diverge without (Xiong et al. 2020)
    weight_decay: float = 0.01  # of matrices; biases and layer norms are not decayed
    clip_norm: float = 1.0  # L2 norm that gradients are clipped to

    def __post_init__(self) -> None:
        require(
            "training settings",
            {
                f"steps is {self.steps}, expected 0 or more": is_whole(self.steps),
                f"learning_rate is {self.learning_rate}, expected above 0 and at most 1": is_number(self.learning_rate, 0, 1)
                and self.learning_rate > 0,
                f"head_rate is {self.head_rate}, expected above 0 and at most 1,000": is_number(self.head_rate, 0, 1_000)
                and self.head_rate > 0,
                f"seed is {self.seed}, expected a whole number": is_whole(self.seed, -MAX_WHOLE),
                f"warmup_share is {self.warmup_share}, expected 0 to 1": is_number(self.warmup_share, 0, 1),
                f"weight_decay is {self.weight_decay}, expected 0 to 1": is_number(self.weight_decay, 0, 1),
                f"clip_norm is {self.clip_norm}, expected above 0": is_number(self.clip_norm, 0) and self.clip_norm > 0,
            },
        )

    @classmethod
    def for_new_heads(cls, *, steps: int, learning_rate: float, seed: int = 0) -> "TrainingConfig":
        """Heads learn at HEADS_RATE, or as fast as the encoder where that is faster."""
        return cls(steps=steps, learning_rate=learning_rate, head_rate=max(1.0, HEADS_RATE / learning_rate), seed=seed)


@dataclass(frozen=True, kw_only=True)
class Machine:
    """The settings that cannot change the outcome: they are in no recipe, no id and no checkpoint.

    Raises ConfigurationError that lists every problem at once.
    """

    device: str = "auto"  # auto, cpu or cuda
    # CPU threads of torch, 0 for as many as cores. On a machine that others use 1 is best: two threads that wait for each
    # other fell from 41,000 to 1,600 tokens/s (tiny preset, 2 cores, load 4), one thread stayed at 28,000.
    threads: int = 0
    checkpoint_every: int = 200  # steps
    without_guards: tuple[str, ...] = ()  # guards that are turned off, by name
    # Of several processes (torchrun): ddp, each holds the model whole; fsdp, each holds a part of every weight.
    parallel: str = "ddp"
    offload: bool = False  # keep weights and optimiser state in the CPU's memory; needs fsdp
    save_memory: bool = False  # compute activations anew in the backward pass
    compile: bool = False  # the encoder's blocks by torch.compile

    def __post_init__(self) -> None:
        require(
            "machine settings",
            {
                f"device is {self.device!r}, expected one of {', '.join(DEVICES)}": self.device in DEVICES,
                f"threads is {self.threads}, expected 0 or more": is_whole(self.threads),
                f"without_guards is {', '.join(self.without_guards)}, expected of {', '.join(GUARDS)}": set(self.without_guards)
                <= set(GUARDS),
                f"parallel is {self.parallel!r}, expected one of {', '.join(PARALLEL)}": self.parallel in PARALLEL,
                "offload needs parallel fsdp": not self.offload or self.parallel == "fsdp",
                f"checkpoint_every is {self.checkpoint_every}, expected 1 or more steps": is_whole(self.checkpoint_every, 1),
            },
        )
