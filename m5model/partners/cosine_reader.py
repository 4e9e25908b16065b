"""Reads pairs by the cosine of vectors that contrast over products has fine-tuned. Needs torch."""

from pathlib import Path

import numpy as np

from m5model.encoders.presets import EncoderPreset, lower_weights
from m5model.partners.data import PartnerData
from m5model.partners.fine_tuning import LABELS, Tower, begin, tower_of, train
from m5model.partners.strategies.bi_encoder import Settings
from m5model.partners.strategy import Given
from m5model.tasks import contrast
from m5model.training.config import TrainingConfig
from m5model.training.shares import TaskShare
from m5model.training.stages import LearnTasks


class CosineReader:
    """The cosine of the fine-tuned vectors."""

    name = "bi-encoder"

    def __init__(self, tower: Tower) -> None:
        self.tower = tower
        self.vectors = tower.vectors()

    def read(self, data: PartnerData, rows: np.ndarray) -> np.ndarray:
        chosen = data.select(rows)
        left_BD, right_BD = self.vectors.of(chosen.texts("left_")), self.vectors.of(chosen.texts("right_"))
        return np.asarray((left_BD * right_BD).sum(axis=1), np.float64)

    def save(self, folder: Path) -> None:
        self.tower.save(folder)

    @classmethod
    def load(cls, folder: Path) -> "CosineReader":
        return cls(Tower.load(folder))


def fine_tune(given: Given, settings: Settings) -> Tower:
    """The encoder after contrast over the products of the split learn."""
    decides = {"strategy": CosineReader.name, "settings": settings, "seed": given.seed}
    begun = begin(given, max_tokens=settings.tokens, decides=decides)
    stage = contrast_stage(settings, begun.context.preset, given.seed)
    return tower_of(begun, train(begun, [stage]), settings.tokens)


def contrast_stage(settings: Settings, preset: EncoderPreset, seed: int) -> LearnTasks:
    """Listings of one product near, others far: two offers of each, and a hard negative, given or mined."""
    task = contrast.Settings(
        batch_rows=settings.products, negatives="both", hard_negatives=1, mined_from=8, max_tokens=settings.tokens
    )
    return LearnTasks(
        stage="contrast",
        tasks=(TaskShare(task=contrast.NAME, settings=task, labels=LABELS),),
        training=TrainingConfig(steps=settings.steps, learning_rate=settings.learning_rate, seed=seed),
        frozen=lower_weights(preset, preset.layers - int(preset.layers * settings.frozen_share)),
    )
