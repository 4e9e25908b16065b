"""Stages of a training run: values that say what to do, and functions that do it.

A run is a list of stages (see training.recipes). Each takes the model as the stage before it left it and returns what it made
of it. A stage that needs more than a training set (a teacher, another bundle) is run by a function of a later folder.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from tokenizers import Tokenizer

from m5model.data.randomness import generator_for, seed_for
from m5model.data.token_rows import TokenRows, tokenize_rows
from m5model.data.training_sets import TrainingSet
from m5model.data.vocabulary import train_vocabulary
from m5model.data.vocabulary_marks import add_marks
from m5model.encoders.device import choose_device
from m5model.encoders.encoder import TextEncoder
from m5model.encoders.kinds import build_encoder
from m5model.encoders.presets import EncoderPreset
from m5model.runtime.rendering import MARKS, without_marks
from m5model.tasks import AnyTask, TaskData
from m5model.training.checkpoints import Checkpoints
from m5model.training.config import Machine, TrainingConfig
from m5model.training.guards import Guarded, timed_guards
from m5model.training.learner import Learner
from m5model.training.loop import Run, train
from m5model.training.mixture import Mixture
from m5model.training.processes import Processes
from m5model.training.progress import say
from m5model.training.shares import Mixing, TaskShare, describe
from m5model.training.task_setup import (
    Head,
    LabelSets,
    TaskBuilders,
    build_task,
    check_labels,
    fit_to,
    freeze,
    heads_of,
    mix_shares,
)
from schemas.bundle import Origin, TrainedStage
from schemas.checks import is_number, is_whole, require
from schemas.errors import ConfigurationError
from schemas.figure import Figure

# More texts hardly change a vocabulary, and its trainer holds them all in memory.
VOCABULARY_TEXTS = 1_000_000


@dataclass(frozen=True, kw_only=True)
class LearnVocabulary:
    """Learn a vocabulary from the rows to learn from."""

    size: int  # tokens asked for; small sets give fewer
    seed: int = 0  # of the draw, where there are more texts than ``texts``
    texts: int = VOCABULARY_TEXTS  # read at most
    stage: str = field(default="vocabulary", init=False)

    def __post_init__(self) -> None:
        require(
            "stage vocabulary",
            {
                f"size is {self.size}, expected above 0": is_whole(self.size, 1),
                f"texts is {self.texts}, expected above 0": is_whole(self.texts, 1),
            },
        )


@dataclass(frozen=True, kw_only=True)
class LearnTasks:
    """Train an encoder, a new one where there is none yet, on a mixture of tasks."""

    stage: str
    tasks: tuple[TaskShare, ...]
    training: TrainingConfig
    mixing: Mixing = field(default_factory=Mixing)
    frozen: tuple[str, ...] = ()  # weights of the encoder whose names begin so are not trained
    kept: float = 0.0  # share of the weights that the stage begins with, in those that it ends with

    def __post_init__(self) -> None:
        names = [share.key for share in self.tasks]
        rules = {
            "it has no task": bool(names),
            f"tasks are {names}, expected different names": len(set(names)) == len(names),
            f"kept is {self.kept}, expected 0 to 1": is_number(self.kept, 0, 1),
        }
        require(f"stage {self.stage}", rules)


@dataclass(frozen=True, kw_only=True)
class Measured:
    """A task's metric on held-out rows, before and after a stage."""

    name: str  # TASK_METRIC
    lower_is_better: bool
    before: float
    after: float
    measured_on: str


@dataclass(frozen=True, kw_only=True)
class Model:
    """The model as one stage hands it to the next."""

    tokenizer: Tokenizer | None = None
    learn: TokenRows | None = None
    held_out: TokenRows | None = None
    encoder: TextEncoder | None = None
    heads: Mapping[str, Head] = field(default_factory=dict)  # by task
    measured: tuple[Measured, ...] = ()
    figures: tuple[Figure, ...] = ()  # what stages state beside what they measured
    trained: tuple[TrainedStage, ...] = ()
    origin: Origin | None = None  # of weights that others trained
    new: tuple[str, ...] = ()  # weights of the encoder that did not come with these, and were not trained since

    def with_vocabulary(self, tokenizer: Tokenizer, training_set: TrainingSet, max_tokens: int) -> "Model":
        """Returns the model with this vocabulary, and the set's rows as its tokens."""
        learn = tokenize_rows(training_set.learn, tokenizer, max_tokens)
        return replace(
            self, tokenizer=tokenizer, learn=learn, held_out=tokenize_rows(training_set.held_out, tokenizer, max_tokens)
        )


@dataclass(frozen=True, kw_only=True)
class RunContext:
    """The training set, the size and the machine that all stages of a run share."""

    training_set: TrainingSet
    preset: EncoderPreset
    machine: Machine = field(default_factory=Machine)
    run: str = ""  # decides whether a checkpoint may be gone on from, see Recipe.run_id
    checkpoints: str | None = None  # a folder, local or on S3; None: keep none
    builders: TaskBuilders = field(default_factory=dict)  # of tasks that are no members of m5model.tasks
    label_sets: LabelSets = field(default_factory=dict)
    processes: Processes = field(default_factory=Processes)  # that train together, and which of them this one is

    def checkpoints_of(self, stage: str) -> Checkpoints:
        return Checkpoints(None if self.checkpoints is None else f"{self.checkpoints}/{stage}", self.run)

    def delete_checkpoints(self) -> None:
        """Drop them all: the run ended and its bundle is written."""
        Checkpoints(self.checkpoints, self.run).delete()


StageRunner = Callable[[Any, Model, RunContext], Model]


def run_stages(stages: Iterable[object], context: RunContext, runners: Mapping[type, StageRunner]) -> Model:
    """Run the stages one after the other. Raises ConfigurationError, before the first of them, for one that nobody runs."""
    listed = list(stages)
    unknown = sorted({type(stage).__name__ for stage in listed if type(stage) not in runners})
    if unknown:
        there = ", ".join(kind.__name__ for kind in runners)
        raise ConfigurationError(f"nothing runs the stages {', '.join(unknown)}", next_step=f"use the stages: {there}")
    shares = [share for stage in listed if isinstance(stage, LearnTasks) for share in stage.tasks]
    check_labels(shares, context.label_sets, context.builders)
    model = Model()
    for stage in listed:
        model = runners[type(stage)](stage, model, context)
    return model


def learn_vocabulary(stage: LearnVocabulary, model: Model, context: RunContext) -> Model:
    """A vocabulary of at most ``stage.size`` tokens, the marks among them where the encoder reads marks."""
    rows = context.training_set.learn.select_columns("text")
    if len(rows) > stage.texts:
        drawn = generator_for("vocabulary", context.training_set.manifest.content_hash, stage.seed).permutation(len(rows))
        rows = rows.select(drawn[: stage.texts])
    texts = (without_marks(text, " ") for batch in rows.iter(1_000) for text in batch["text"])
    is_marked = context.training_set.rendering.marked
    tokenizer = train_vocabulary(texts, stage.size - len(MARKS) * is_marked)
    tokenizer = add_marks(tokenizer) if is_marked else tokenizer
    say(f"vocabulary: {tokenizer.get_vocab_size():,} tokens from {len(rows):,} texts (asked for {stage.size:,})")
    return model.with_vocabulary(tokenizer, context.training_set, context.preset.max_tokens)


def learn_tasks(stage: LearnTasks, model: Model, context: RunContext) -> Model:
    """Train encoder and heads, measuring every task on held-out rows before and after."""
    learner, mixture = prepare(stage, model, context)
    before = _measure(learner, mixture.tasks)
    _guard(stage, learner, mixture, model, context, before)
    began = {name: weight.detach().clone() for name, weight in learner.encoder.named_parameters()} if stage.kept else {}
    trained, learner = _train(stage, learner, mixture, context)
    keep_share(learner.encoder, began, stage.kept)
    learner.encoder.requires_grad_(True)
    after = _measure(learner, mixture.tasks) if stage.training.steps else before
    measured = _compare(stage.stage, mixture.tasks, before, after, {one.name for one in model.measured})
    for one in measured:
        say(f"{stage.stage} {context.preset.name}: {one.name} {one.before:.4f} before, {one.after:.4f} after")
    return replace(
        model,
        encoder=learner.encoder,
        new=(),
        heads={**model.heads, **heads_of(mixture.tasks)},
        measured=(*model.measured, *measured),
        trained=(*model.trained, trained),
    )


@torch.no_grad()
def keep_share(encoder: TextEncoder, began: Mapping[str, torch.Tensor], share: float) -> None:
    """Move the weights back, in place, by ``share`` of the way to those that it began with.

    What fine-tuning on one task teaches is mostly kept, and so is what the encoder could do before (Wortsman et al. 2022).
    """
    for name, weight in encoder.named_parameters():
        if name in began:
            weight.lerp_(began[name].to(weight.device, weight.dtype), share)


def prepare(stage: LearnTasks, model: Model, context: RunContext) -> tuple[Learner, Mixture]:
    """Encoder and heads on the device that computes, and the mixture to train them on; its schedule is said."""
    if model.tokenizer is None or model.learn is None or model.held_out is None:
        raise ConfigurationError(f"stage {stage.stage} has no vocabulary", next_step="put a vocabulary stage before it")
    encoder = _start_encoder(stage, model, context)
    data = TaskData(
        learn=model.learn,
        held_out=model.held_out,
        seed=stage.training.seed,
        tokenizer=model.tokenizer,
        max_tokens=context.preset.max_tokens,
        rendering=context.training_set.rendering,
    )
    tasks = [build_task(share, encoder, data, context.label_sets, context.builders, model.heads) for share in stage.tasks]
    learner = Learner(encoder, tasks).to(choose_device(context.machine.device, context.machine.threads))
    freeze(encoder, stage.frozen)
    fit_to(encoder, context.machine)
    content_hash = context.training_set.manifest.content_hash
    mixture = mix_shares(stage.tasks, tasks, stage.mixing, content_hash, stage.training.seed)
    labels = {share.key: context.label_sets[share.labels].name for share in stage.tasks if share.labels}
    for line in describe(mixture.plan(stage.training.steps, labels)):
        say(f"{stage.stage}: {line}")
    return learner, mixture


# The stages that need nothing but a training set.
RUNNERS: Mapping[type, StageRunner] = {LearnVocabulary: learn_vocabulary, LearnTasks: learn_tasks}


def _start_encoder(stage: LearnTasks, model: Model, context: RunContext) -> TextEncoder:
    """The model's encoder, or a new one. Leaves torch's generator in a state of the seed alone: new heads are drawn from it."""
    if model.encoder is not None:
        torch.manual_seed(seed_for("heads", stage.stage, stage.training.seed))
        return model.encoder
    size = model.tokenizer.get_vocab_size() if model.tokenizer else None
    return build_encoder(context.preset, size, seed_for("weights", stage.training.seed))


def _guard(
    stage: LearnTasks, learner: Learner, mixture: Mixture, model: Model, context: RunContext, measured: Mapping[str, float]
) -> None:
    """Stop the stage before its first step where a guard does not hold. A run that goes on has been here before."""
    is_over = not stage.training.steps or context.checkpoints_of(stage.stage).is_begun
    if is_over or model.learn is None or model.held_out is None:
        return
    guarded = Guarded(
        stage=stage.stage,
        learner=learner,
        mixture=mixture,
        config=stage.training,
        learn=model.learn,
        held_out=model.held_out,
        was_trained=model.encoder is not None and (not model.trained or any(one.steps for one in model.trained)),
        new=model.new,
        frozen=stage.frozen,
        label_sets={share.key: context.label_sets[share.labels] for share in stage.tasks if share.labels},
        measured=measured,
    )
    say(f"{stage.stage}: {timed_guards(guarded, context.machine.without_guards)}")


def _train(stage: LearnTasks, learner: Learner, mixture: Mixture, context: RunContext) -> tuple[TrainedStage, Learner]:
    outcome = train(
        Run(
            label=f"{stage.stage} {context.preset.name}",
            learner=learner,
            mixture=mixture,
            config=stage.training,
            checkpoint_every=context.machine.checkpoint_every,
            checkpoints=context.checkpoints_of(stage.stage),
            machine=context.machine,
            processes=context.processes,
        )
    )
    return outcome.as_stage(stage.stage), outcome.learner


def _measure(learner: Learner, tasks: Iterable[AnyTask]) -> dict[str, float]:
    learner.eval()
    return {task.name: task.measure(learner.encoder) for task in tasks}


def _compare(
    stage: str, tasks: Iterable[AnyTask], before: Mapping[str, float], after: Mapping[str, float], taken: set[str]
) -> tuple[Measured, ...]:
    """Returns the tasks' metrics; one that a stage before has measured is named by its stage as well."""
    names = {task.name: f"{task.name}_{task.metric}" for task in tasks}
    return tuple(
        Measured(
            name=f"{stage}_{names[task.name]}" if names[task.name] in taken else names[task.name],
            lower_is_better=task.lower_is_better,
            before=before[task.name],
            after=after[task.name],
            measured_on=task.measured_on,
        )
        for task in tasks
    )
