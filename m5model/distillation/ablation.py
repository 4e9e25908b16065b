"""Measures what each part of a recipe earns: the recipe at few steps, with all its parts and without each.

All have equal steps: what a part gives up, the others get. Measured in fp32 on texts and pairs that nothing was learned from.
Results are kept, so that a run started again does none twice.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass

import numpy as np

from m5model.distillation.agreement import Judged
from m5model.distillation.labelled_pairs import OpenLabels, PairTexts, chosen_pairs
from m5model.distillation.subject import encode_texts
from m5model.distillation.teachers import Teachers
from m5model.files import storage
from m5model.gates.intervals import Interval, bootstrap
from m5model.gates.metrics import average_precision
from m5model.training.progress import say
from m5model.training.recipes import Recipe
from m5model.training.stages import LearnTasks, Model
from schemas.errors import ConfigurationError

WHOLE = "all parts"
COMPARED_TEXTS = 512


@dataclass(frozen=True, kw_only=True)
class Ablated:
    """A recipe without one part, distilled briefly."""

    without: str  # the part, or WHOLE
    agreement: Interval  # of its similarities with the teachers', see m5model.distillation.agreement
    average_precision: Interval | None  # on labelled pairs, split test; None without any


def parts_of(recipe: Recipe) -> tuple[str, ...]:
    """The parts of the recipe that learn something."""
    return tuple(stage.stage for stage in recipe.stages if isinstance(stage, LearnTasks) and stage.training.steps)


def ablate(recipes: Mapping[str, Recipe], attempt: Callable[[str, Recipe], Ablated], folder: str) -> list[Ablated]:
    """``recipes`` by the part that they lack, WHOLE first. ``folder`` keeps results."""
    found = []
    for without, recipe in recipes.items():
        path = f"{folder}/without-{without.replace(' ', '-')}.json"
        if not storage.exists(path):
            storage.write_bytes(path, json.dumps(asdict(attempt(without, recipe))).encode())
        found.append(_read(path))
        say(f"ablation, without {without}: agreement {found[-1].agreement.value:.4f}".replace("without all", "with all"))
    return found


def measure(model: Model, teachers: Teachers, without: str, max_tokens: int, pairs: OpenLabels | None) -> Ablated:
    """The trained model of one recipe."""
    if model.encoder is None or model.held_out is None or model.tokenizer is None:
        raise ConfigurationError("there is no encoder to measure", next_step="give the recipe a part that trains one")
    encoder, tokenizer = model.encoder, model.tokenizer
    texts = Judged.of_encoder(encoder, model.held_out, teachers, COMPARED_TEXTS)
    precision = None
    if pairs is not None:
        rows = chosen_pairs(pairs(teachers.training_set.rendering))
        placed = PairTexts.of(rows)
        vectors_ND = encode_texts(encoder, tokenizer, max_tokens, placed.texts)
        scores, is_match = (vectors_ND[placed.left] * vectors_ND[placed.right]).sum(1), np.asarray(rows["is_match"][:], bool)
        precision = bootstrap(
            lambda drawn: average_precision(scores[drawn], is_match[drawn]), np.asarray(rows["left_entity"][:])
        )
    return Ablated(without=without, agreement=texts.correlation(np.arange(len(texts.text))), average_precision=precision)


def _read(path: str) -> Ablated:
    values = json.loads(storage.read_bytes(path))
    precision = values["average_precision"]
    return Ablated(
        without=values["without"],
        agreement=Interval(**values["agreement"]),
        average_precision=Interval(**precision) if precision else None,
    )
