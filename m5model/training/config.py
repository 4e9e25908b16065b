"""What a training run may be told, checked as a whole before any data is touched."""

from dataclasses import asdict, dataclass

from m5model.encoders.presets import EncoderPreset
from schemas.errors import ConfigurationError
from schemas.report import JsonValue


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """Settings of one run of ``training.loop.train``. Raises ConfigurationError that lists every problem at once."""

    steps: int  # optimiser steps
    learning_rate: float  # peak
    token_budget: int = 2_048  # tokens per step, padding included
    seed: int = 0
    warmup_share: float = 0.06  # of the steps; post-layer-norm blocks diverge without (Xiong et al. 2020)
    weight_decay: float = 0.01  # of matrices; biases and layer norms are not decayed
    clip_norm: float = 1.0  # L2 norm that gradients are clipped to
    mask_share: float = 0.15  # of tokens to predict (Devlin et al. 2019)
    checkpoint_every: int = 200  # steps
    device: str = "auto"  # auto, cpu or cuda
    # CPU threads of torch, 0 for as many as cores. On a machine that others use 1 is best: two threads that wait for each
    # other fell from 41,000 to 1,600 tokens/s (tiny preset, 2 cores, load 4), one thread stayed at 28,000.
    threads: int = 0

    def __post_init__(self) -> None:
        problems = [problem for problem, is_wrong in self._checks() if is_wrong]
        if problems:
            raise ConfigurationError(f"training settings: {'; '.join(problems)}", next_step="correct these and start again")

    def _checks(self) -> list[tuple[str, bool]]:
        return [
            (f"steps is {self.steps}, expected 0 or more", self.steps < 0),
            (f"learning_rate is {self.learning_rate}, expected above 0 and at most 1", not 0 < self.learning_rate <= 1),
            (f"token_budget is {self.token_budget}, expected 16 or more tokens", self.token_budget < 16),
            (f"warmup_share is {self.warmup_share}, expected 0 to 1", not 0 <= self.warmup_share <= 1),
            (f"weight_decay is {self.weight_decay}, expected 0 or more", not self.weight_decay >= 0),
            (f"clip_norm is {self.clip_norm}, expected above 0", not self.clip_norm > 0),
            (f"mask_share is {self.mask_share}, expected above 0 and below 1", not 0 < self.mask_share < 1),
            (f"checkpoint_every is {self.checkpoint_every}, expected 1 or more steps", self.checkpoint_every < 1),
            (f"threads is {self.threads}, expected 0 or more", self.threads < 0),
            (f"device is {self.device!r}, expected auto, cpu or cuda", self.device not in ("auto", "cpu", "cuda")),
        ]

    def as_json(self) -> dict[str, JsonValue]:
        return asdict(self)

    @classmethod
    def for_preset(
        cls,
        preset: EncoderPreset,
        *,
        steps: int | None = None,
        seed: int = 0,
        checkpoint_every: int = 200,
        device: str = "auto",
        threads: int = 0,
    ) -> "TrainingConfig":
        """The preset's settings, with ``steps`` instead of its own where given."""
        return cls(
            steps=preset.steps if steps is None else steps,
            learning_rate=preset.learning_rate,
            token_budget=preset.token_budget,
            seed=seed,
            checkpoint_every=checkpoint_every,
            device=device,
            threads=threads,
        )
