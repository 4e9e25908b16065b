"""A recipe is a whole training run as one value. Named recipes are functions that return one.

    teacher(TINY, steps=300)               vocabulary → pretrain (masked language modelling)
    from_weights(geometry, origin, …)      weights → trim → contrast over labels, or pretrain; the last two where asked for
    multitask(either, {task: labels}, …)   … → prefinetune (a mixture) → finetune (one of its tasks)

What is not in a recipe cannot change its outcome: device, threads and checkpoints (training.config.Machine), and the
thresholds of gates. The canonical JSON of a recipe decides the ids of runs and whether a checkpoint fits.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import m5model.tasks
from m5model.data.label_sets import LabelSet
from m5model.data.training_sets import TrainingSet
from m5model.encoders.presets import EncoderPreset, lower_weights
from m5model.tasks import contrast, mlm, retrieval
from m5model.training.config import TrainingConfig
from m5model.training.shares import Mixing, TaskShare
from m5model.training.stages import LearnTasks, LearnVocabulary
from m5model.training.starting import TakeStreams, TakeWeights, TakeWhole, TrimVocabulary
from schemas.bundle import Origin
from schemas.canonical import canonical_json, identify
from schemas.checks import require
from schemas.registry import load_member

Form = Literal["distilbert", "streams", "whole"]
FORMS = ("distilbert", "streams", "whole")


@dataclass(frozen=True, kw_only=True)
class Pace:
    """How long, how fast and in what portions an encoder of one size learns."""

    steps: int  # optimiser steps of a useful run
    token_budget: int  # tokens per step, padding included
    learning_rate: float  # peak, AdamW


# By preset. The large ones follow the usual scaling: more tokens a step and a lower rate the wider the model.
PACES = {
    "tiny": Pace(steps=300, token_budget=2_048, learning_rate=1e-3),
    "mini": Pace(steps=10_000, token_budget=8_192, learning_rate=5e-4),
    "tiny-cross": Pace(steps=300, token_budget=2_048, learning_rate=1e-3),
    "small-cross": Pace(steps=10_000, token_budget=8_192, learning_rate=5e-4),
    "student-70m": Pace(steps=100_000, token_budget=65_536, learning_rate=4e-4),
    "teacher-500m": Pace(steps=200_000, token_budget=131_072, learning_rate=2e-4),
    "xl-1.5b": Pace(steps=200_000, token_budget=131_072, learning_rate=1e-4),
}


# Of encoders that begin with weights that others trained: a lower rate, so that they do not forget.
STARTED_PACE = Pace(steps=1_000, token_budget=4_096, learning_rate=5e-5)


CONTRAST_RATE = 1e-4  # peak learning rate, AdamW
# Half of what duplicates gain for most of what searches would lose: docs/decisions/2026-11-27-contrast-in-the-demo.md.
CONTRAST_KEPT = 0.5
CONTRAST = contrast.Settings(batch_rows=24, max_tokens=64)
RETRIEVAL = retrieval.Settings(batch_rows=24, max_tokens=64)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A whole run: what size of encoder, and what happens to it, in order."""

    name: str
    preset: EncoderPreset
    stages: tuple[Any, ...]  # frozen dataclasses with a field ``stage``, see training.stages

    def __post_init__(self) -> None:
        names = [stage.stage for stage in self.stages]
        require(
            f"recipe {self.name}",
            {"it has no stage": bool(names), f"stages are {names}, expected different names": len(set(names)) == len(names)},
        )

    def canonical(self) -> str:
        """Returns name, geometry and stages as canonical JSON."""
        geometry = {name: value for name, value in asdict(self.preset).items() if name != "parameters"}
        return canonical_json({"name": self.name, "preset": geometry, "stages": self.stages})

    def as_json(self) -> dict[str, Any]:
        """Returns the same as plain values."""
        values: dict[str, Any] = json.loads(self.canonical())
        return values

    @property
    def label_sets(self) -> tuple[str, ...]:
        """Returns the label sets that its tasks name, sorted."""
        shares = [share for stage in self.stages if isinstance(stage, LearnTasks) for share in stage.tasks]
        return tuple(sorted({share.labels for share in shares if share.labels}))

    def run_id(self, training_set: TrainingSet, label_sets: Mapping[str, LabelSet] | None = None) -> str:
        """Returns 12 hexadecimal digits of all that decides the outcome, so that equal runs share checkpoints."""
        data: dict[str, Any] = {
            "content_hash": training_set.manifest.content_hash,
            "rendering": training_set.rendering.rendering_id,
        }
        if label_sets:
            data["labels"] = {name: label_set.manifest.content_hash for name, label_set in label_sets.items()}
        return identify({"recipe": self.as_json(), "data": data})


def pace_of(preset: EncoderPreset) -> Pace:
    """Returns how an encoder of that size learns; one that is no named preset began with the weights of others."""
    return PACES.get(preset.name, STARTED_PACE)


def teacher(preset: EncoderPreset, *, steps: int | None = None, seed: int = 0) -> Recipe:
    """A teacher: a vocabulary of its own, then masked language modelling for ``steps`` (the preset's own number otherwise)."""
    pace = pace_of(preset)
    return Recipe(
        name="teacher",
        preset=preset,
        stages=(
            LearnVocabulary(size=preset.vocabulary_size, seed=seed),
            pretrain(pace, steps=pace.steps if steps is None else steps, seed=seed),
        ),
    )


def from_weights(
    preset: EncoderPreset,
    origin: Origin,
    *,
    layers: tuple[int, ...] = (),
    form: Form = "distilbert",
    vocabulary_size: int | None = None,
    pairs: str = "",
    queries: str = "",
    steps: int = 0,
    seed: int = 0,
) -> Recipe:
    """A teacher that begins with weights that others trained, its vocabulary cut to ``vocabulary_size`` tokens where given.

    Then ``steps`` of contrast over labelled pairs, and over queries and what answers them, where ``pairs`` and ``queries`` name
    label sets; else of masked language modelling. Without steps nothing is trained. ``form`` is what the weights become: an
    encoder in the layout of students, both streams of one that reads text and structure apart, or themselves.
    """
    takes: TakeWeights | TakeStreams | TakeWhole = TakeWeights(origin=origin, layers=layers)
    if form != "distilbert":
        takes = TakeWhole(origin=origin) if form == "whole" else TakeStreams(origin=origin, layers=layers, seed=seed)
    trims = () if vocabulary_size is None else (TrimVocabulary(size=vocabulary_size, seed=seed),)
    trains: tuple[LearnTasks, ...] = ()
    if steps:
        shares = contrast_shares(pairs, queries)
        trains = (contrast_stage(preset, shares, steps, seed) if shares else pretrain(STARTED_PACE, steps=steps, seed=seed),)
    return Recipe(name="teacher", preset=preset, stages=(takes, *trims, *trains))


def contrast_shares(pairs: str, queries: str) -> tuple[TaskShare, ...]:
    """Shares that bring offers of one product near, and queries near what answers them, where there are such labels."""
    near = (TaskShare(task=contrast.NAME, settings=CONTRAST, labels=pairs),) if pairs else ()
    return (*near, TaskShare(task=retrieval.NAME, settings=RETRIEVAL, labels=queries)) if queries else near


def contrast_stage(preset: EncoderPreset, shares: tuple[TaskShare, ...], steps: int, seed: int) -> LearnTasks:
    """Steps of the tasks in turn. Only the upper third of the layers is trained, on the beginning of each text: that is most of
    the gain for a third of the time."""
    trained = max(1, preset.layers // 3)
    return LearnTasks(
        stage="contrast",
        tasks=shares,
        training=TrainingConfig(steps=steps, learning_rate=CONTRAST_RATE, seed=seed),
        frozen=lower_weights(preset, trained),
        kept=CONTRAST_KEPT,
    )


def multitask(
    start: Recipe,
    tasks: Mapping[str, str],
    *,
    finetune: str | None = None,
    steps: int | None = None,
    mixing: Mixing | None = None,
    seed: int = 0,
) -> Recipe:
    """What ``start`` does, then multi-task pre-fine-tuning, then fine-tuning on one of the tasks, where one is named.

    ``tasks`` are names of tasks and the label sets that they learn from; ``steps`` those of the pre-fine-tuning (the size's own
    number otherwise), fine-tuning has half as many. Source: Aghajanyan et al. 2021 (Muppet).
    """
    require("recipe multitask", {f"finetune is {finetune!r}, expected one of {', '.join(tasks)}": finetune in (None, *tasks)})
    pace = pace_of(start.preset)
    shares = {task: _share_of(task, labels) for task, labels in tasks.items()}
    steps = pace.steps if steps is None else steps
    training = TrainingConfig.for_new_heads(steps=steps, learning_rate=pace.learning_rate, seed=seed)
    mixed = LearnTasks(
        stage="prefinetune", tasks=tuple(shares.values()), training=training, mixing=mixing or Mixing(temperature=2.0)
    )
    last: tuple[LearnTasks, ...] = ()
    if finetune is not None:
        last = (LearnTasks(stage="finetune", tasks=(shares[finetune],), training=replace(training, steps=max(1, steps // 2))),)
    return Recipe(name="multitask", preset=start.preset, stages=(*start.stages, mixed, *last))


def _share_of(task: str, labels: str) -> TaskShare:
    """Returns the task with its own settings."""
    return TaskShare(task=task, settings=load_member(m5model.tasks, task, "task").Settings(), labels=labels)


def pretrain(pace: Pace, *, steps: int, seed: int) -> LearnTasks:
    """Masked language modelling alone."""
    settings = mlm.Settings(token_budget=pace.token_budget)
    training = TrainingConfig(steps=steps, learning_rate=pace.learning_rate, seed=seed)
    return LearnTasks(stage="pretrain", tasks=(TaskShare(task=mlm.NAME, settings=settings),), training=training)
