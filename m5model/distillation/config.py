"""What a distillation may be told, checked as a whole."""

from dataclasses import dataclass, field, replace

from m5model.encoders.presets import EncoderPreset
from m5model.export.parity import ParityThresholds
from m5model.export.quantization import QUANTIZATIONS, Quantization
from m5model.training.config import TrainingConfig
from schemas.errors import ConfigurationError

# Of a preset's steps: the student's own MLM is short, the judgements take the rest.
MLM_SHARE = 0.5


@dataclass(frozen=True, kw_only=True)
class DistillationConfig:
    """Settings of one distillation. Raises ConfigurationError that lists every problem at once."""

    mlm: TrainingConfig  # the student's own pre-training; not used where it starts from a checkpoint
    judgements: TrainingConfig  # its token_budget is not used: batches hold ``batch_rows``
    batch_rows: int = 64  # texts compared with each other in a step
    quantization: Quantization = "static"
    # Pearson, over pairs of held-out texts, of student's and teacher's similarities.
    min_correlation: float = 0.8
    thresholds: ParityThresholds = field(default_factory=ParityThresholds)

    def __post_init__(self) -> None:
        problems = []
        if self.batch_rows < 3:
            problems.append(f"batch_rows is {self.batch_rows}, expected 3 or more, so that similarities can differ")
        if self.quantization not in QUANTIZATIONS:
            problems.append(f"quantization is {self.quantization!r}, expected one of {', '.join(QUANTIZATIONS)}")
        if not -1 <= self.min_correlation <= 1:
            problems.append(f"min_correlation is {self.min_correlation}, expected -1 to 1")
        if problems:
            raise ConfigurationError(f"distillation settings: {'; '.join(problems)}", next_step="correct these and start again")

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
        quantization: Quantization = "static",
        min_correlation: float = 0.8,
    ) -> "DistillationConfig":
        """The preset's settings; ``steps`` is the sum of both phases."""
        total = preset.steps if steps is None else steps
        mlm_steps = round(total * MLM_SHARE)
        config = TrainingConfig.for_preset(
            preset, steps=mlm_steps, checkpoint_every=checkpoint_every, device=device, threads=threads
        )
        return cls(
            # Another seed: with its own, a student of the teacher's size would begin as the teacher's twin.
            mlm=replace(config, seed=seed + 1),
            judgements=replace(config, seed=seed, steps=total - mlm_steps),
            quantization=quantization,
            min_correlation=min_correlation,
        )
