"""Reads a pair as one text of both, by an encoder that compares tokens and a head on its vector. Needs torch."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from m5model.encoders.presets import lower_weights
from m5model.partners.cosine_reader import contrast_stage
from m5model.partners.data import PartnerData
from m5model.partners.fine_tuning import LABELS, Tower, begin, tower_of, train
from m5model.partners.strategies.cross_encoder import Settings
from m5model.partners.strategy import Given
from m5model.runtime.rendering import render
from m5model.tasks import duplicates
from m5model.tasks._pairs import PairHead
from m5model.tasks._texts import TextPool, encode_all
from m5model.training.config import TrainingConfig
from m5model.training.shares import TaskShare
from m5model.training.stages import LearnTasks

HEAD_FILE = "head.safetensors"


class CrossReader:
    """The probability that a pair is one product, from one pass of the encoder over both texts."""

    name = "cross-encoder"

    def __init__(self, tower: Tower, head: PairHead) -> None:
        self.tower = tower
        self._head = head.eval()
        self._known: dict[tuple[str, str], float] = {}

    def read(self, data: PartnerData, rows: np.ndarray) -> np.ndarray:
        chosen = data.select(rows)
        pairs = list(zip(chosen.texts("left_"), chosen.texts("right_"), strict=True))
        missing = sorted({pair for pair in pairs if pair not in self._known})
        if missing:
            self._known |= dict(zip(missing, self._probabilities(missing).tolist(), strict=True))
        return np.asarray([self._known[pair] for pair in pairs], np.float64)

    @torch.no_grad()
    def _probabilities(self, pairs: list[tuple[str, str]]) -> np.ndarray:
        rendered = [(render(left, self.tower.rendering), render(right, self.tower.rendering)) for left, right in pairs]
        pool = TextPool(rendered, self.tower.tokenizer, self.tower.max_tokens)
        vectors = encode_all(self.tower.encoder.eval(), pool, np.arange(len(rendered)))
        logits = self._head(vectors, torch.zeros(len(rendered), dtype=torch.int64, device=vectors.device))
        return np.asarray(torch.sigmoid(logits.float()).cpu().numpy(), np.float64)

    def save(self, folder: Path) -> None:
        self.tower.save(folder)
        save_file(self._head.cpu().state_dict(), folder / HEAD_FILE)

    @classmethod
    def load(cls, folder: Path) -> "CrossReader":
        tower = Tower.load(folder)
        head = PairHead("cross", tower.encoder, has_places=False)
        head.load_state_dict(load_file(folder / HEAD_FILE))
        return cls(tower, head)


def fine_tune_pairs(given: Given, settings: Settings) -> CrossReader:
    """The encoder after contrast, then after pairs that it reads together."""
    both_tokens = 2 * settings.tokens
    decides = {"strategy": CrossReader.name, "settings": settings, "seed": given.seed}
    begun = begin(given, max_tokens=both_tokens, decides=decides)
    near = (contrast_stage(settings.contrast(), begun.context.preset, given.seed),) if settings.contrast_steps else ()
    layers = begun.context.preset.layers
    pairs = LearnTasks(
        stage="pairs",
        tasks=(
            TaskShare(
                task=duplicates.NAME,
                settings=duplicates.Settings(form="cross", token_budget=settings.token_budget),
                labels=LABELS,
            ),
        ),
        training=TrainingConfig.for_new_heads(steps=settings.steps, learning_rate=settings.learning_rate, seed=given.seed),
        frozen=lower_weights(begun.context.preset, layers - int(layers * settings.frozen_share)),
    )
    model = train(begun, [*near, pairs])
    tower = replace(tower_of(begun, model, both_tokens), max_tokens=both_tokens)
    head = PairHead("cross", tower.encoder, has_places=False)
    head.load_state_dict(dict(model.heads[duplicates.NAME]))
    return CrossReader(tower, head.to(tower.encoder.device))
