"""An encoder with a tagging head: which words of a text state which attribute? Needs torch.

Tensor suffixes: B texts, L tokens, D hidden size, T tags (see m5model.tasks.attribute_extraction).
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from m5model.data.token_rows import pad_ids
from m5model.encoders.presets import lower_weights
from m5model.partners.attributes.reading import TaggedText
from m5model.partners.fine_tuning import LABELS, Tower, begin, tower_of, train
from m5model.partners.strategy import Given
from m5model.runtime.rendering import render
from m5model.tasks import TaskData, attribute_extraction
from m5model.training.config import TrainingConfig
from m5model.training.shares import TaskShare
from m5model.training.stages import LearnTasks
from m5model.training.task_setup import build_task
from schemas.errors import ConfigurationError

HEAD_FILE, NAMES_FILE = "head.npz", "names.json"
CALL_TEXTS = 32


@dataclass(frozen=True, kw_only=True)
class TaggerSettings:
    """Says how the encoder is trained to tag."""

    steps: int
    tokens: int  # of a text; the rest is not read
    step_tokens: int
    names: int
    learning_rate: float
    frozen_share: float


class Tagger:
    """A fine-tuned encoder, and the head over its tokens."""

    def __init__(self, tower: Tower, names: tuple[str, ...], weight_TD: np.ndarray, bias_T: np.ndarray) -> None:
        self.names = names
        self._tower = tower
        self._weight_TD = weight_TD
        self._bias_T = bias_T

    @torch.inference_mode()
    def read(self, texts: Sequence[str]) -> list[TaggedText]:
        """Probabilities of tags for the tokens of every text. Texts of like length share a call."""
        tower = self._tower
        tower.tokenizer.no_padding()
        tower.tokenizer.enable_truncation(tower.max_tokens)
        rendered = [render(text, tower.rendering) for text in texts]
        encodings = tower.tokenizer.encode_batch(rendered)
        shift = len(tower.rendering.prefix)
        found: list[TaggedText | None] = [None] * len(texts)
        order = np.argsort([len(encoding.ids) for encoding in encodings], kind="stable")
        for start in range(0, len(order), CALL_TEXTS):
            places = [int(place) for place in order[start : start + CALL_TEXTS]]
            tags_BLT = self._probabilities([list(encodings[place].ids) for place in places])
            for row, place in enumerate(places):
                offsets = [(first - shift, last - shift) for first, last in encodings[place].offsets]
                found[place] = TaggedText(offsets=tuple(offsets), tags_LT=tags_BLT[row, : len(offsets)])
        return [one for one in found if one is not None]

    def save(self, folder: Path) -> None:
        self._tower.save(folder)
        np.savez(folder / HEAD_FILE, weight=self._weight_TD, bias=self._bias_T)
        (folder / NAMES_FILE).write_text(json.dumps(self.names, ensure_ascii=False), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> "Tagger":
        names = tuple(json.loads((folder / NAMES_FILE).read_text(encoding="utf-8")))
        with np.load(folder / HEAD_FILE) as kept:
            return cls(Tower.load(folder), names, kept["weight"], kept["bias"])

    def _probabilities(self, ids: list[list[int]]) -> np.ndarray:
        encoder = self._tower.encoder.eval()
        ids_BL, mask_BL = (torch.from_numpy(array).to(encoder.device) for array in pad_ids(ids))
        weight_TD, bias_T = (torch.from_numpy(part).to(encoder.device) for part in (self._weight_TD, self._bias_T))
        logits_BLT = encoder.hidden_states(ids_BL, mask_BL).float() @ weight_TD.T + bias_T
        return np.asarray(logits_BLT.softmax(-1).cpu().numpy())


def train_tagger(given: Given, rows: np.ndarray, settings: TaggerSettings) -> Tagger:
    """A tagger that has learned from these rows alone, by the recipes' own stage."""
    decides = {"strategy": "tagging", "settings": settings, "seed": given.seed}
    begun = begin(given, max_tokens=settings.tokens, learn=rows, decides=decides)
    task = attribute_extraction.Settings(token_budget=settings.step_tokens, names=settings.names)
    share = TaskShare(task=attribute_extraction.NAME, settings=task, labels=LABELS)
    preset = begun.context.preset
    stage = LearnTasks(
        stage="tagging",
        tasks=(share,),
        training=TrainingConfig.for_new_heads(steps=settings.steps, learning_rate=settings.learning_rate, seed=given.seed),
        frozen=lower_weights(preset, preset.layers - int(preset.layers * settings.frozen_share)),
    )
    model = train(begun, [stage])
    if model.learn is None or model.held_out is None:
        raise ConfigurationError("there is no text to learn from", next_step="give labels with texts")
    tower = tower_of(begun, model, begun.context.preset.max_tokens)
    data = TaskData(
        learn=model.learn,
        held_out=model.held_out,
        seed=given.seed,
        tokenizer=model.tokenizer,
        max_tokens=tower.max_tokens,
        rendering=begun.source.rendering,
    )
    built = build_task(share, tower.encoder, data, begun.context.label_sets, {}, model.heads)
    if not isinstance(built, attribute_extraction.AttributeExtraction):
        raise ConfigurationError(f"the task {share.task} tags no words", next_step="give the task that a tagger is trained by")
    return Tagger(tower, built.names, *built.head.folded())
