"""Measures how far a student judges pairs of held-out texts as its teachers do: the metric of every stage of a distillation."""

from dataclasses import dataclass, field

import numpy as np

from m5model.distillation.teachers import TaughtTexts
from m5model.distillation.vectors import encode_all
from m5model.encoders.encoder import TextEncoder
from m5model.export.parity import pair_correlation

METRIC = "correlation"  # Pearson, over pairs of held-out texts, of both sides' similarities
# 512 texts are 130,816 pairs.
JUDGED_TEXTS = 512


@dataclass(frozen=True, kw_only=True)
class JudgedTexts:
    """Held-out texts and the teachers' vectors of them."""

    texts: TaughtTexts
    teacher_BE: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "teacher_BE", self.texts.targets(np.arange(len(self.texts.chosen))))

    @property
    def measured_on(self) -> str:
        return f"{len(self.texts.chosen):,} held-out rows"

    def correlation(self, encoder: TextEncoder) -> float:
        """-1 to 1."""
        return pair_correlation(encode_all(encoder, self.texts.rows, self.texts.chosen), self.teacher_BE)
