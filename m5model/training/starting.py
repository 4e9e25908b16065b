"""Stages that begin a run with weights that others trained: take them, and cut their vocabulary to a training set."""

from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np

from m5model.data.randomness import generator_for
from m5model.data.training_sets import TrainingSet
from m5model.data.vocabulary_marks import add_marks, has_marks, remove_marks
from m5model.data.vocabulary_trim import LanguageCoverage, trim_vocabulary
from m5model.encoders.cross_start import start_streams
from m5model.encoders.huggingface import Checkpoint, open_checkpoint, replace_rows
from m5model.encoders.kinds import open_teacher_checkpoint
from m5model.encoders.presets import CrossAttentionPreset, WholePreset
from m5model.encoders.sources import read_origin
from m5model.encoders.streams import STREAMS
from m5model.runtime.rendering import MARKS, Rendering, without_marks
from m5model.training.progress import say
from m5model.training.stages import RUNNERS, VOCABULARY_TEXTS, Model, RunContext, StageRunner
from schemas.bundle import Origin
from schemas.checks import is_whole, require
from schemas.errors import ConfigurationError
from schemas.figure import Figure


@dataclass(frozen=True, kw_only=True)
class TakeWeights:
    """Begin with the encoder and the vocabulary of a checkpoint."""

    origin: Origin
    layers: tuple[int, ...] = ()  # by number from 0; empty for all
    stage: str = field(default="weights", init=False)


@dataclass(frozen=True, kw_only=True)
class TakeStreams:
    """Begin an encoder of two streams with the encoder of a checkpoint, and with its vocabulary and the marks behind it."""

    origin: Origin
    layers: tuple[int, ...] = ()  # of the checkpoint, by number from 0; empty for all
    streams: tuple[str, ...] = STREAMS  # those that begin with its layers; the other one is new
    seed: int = 0  # of what is new
    stage: str = field(default="weights", init=False)

    def __post_init__(self) -> None:
        known = f"streams are {', '.join(self.streams)}, expected of {', '.join(STREAMS)}"
        require("stage weights", {known: bool(self.streams) and set(self.streams) <= set(STREAMS)})


@dataclass(frozen=True, kw_only=True)
class TakeWhole:
    """Begin with the encoder and the vocabulary of a checkpoint as they are: a teacher may have any layout."""

    origin: Origin
    stage: str = field(default="weights", init=False)


@dataclass(frozen=True, kw_only=True)
class TrimVocabulary:
    """Keep the pieces of the vocabulary that the rows to learn from use most."""

    size: int  # tokens kept at most
    seed: int = 0  # of the draw, where there are more texts than ``texts``
    texts: int = VOCABULARY_TEXTS  # read at most
    stage: str = field(default="trim", init=False)

    def __post_init__(self) -> None:
        require("stage trim", {f"size is {self.size}, expected above 0": is_whole(self.size, 1)})


@dataclass(frozen=True, kw_only=True)
class Source:
    """A checkpoint to begin with, and where it lies."""

    folder: Path
    origin: Origin
    rendering: Rendering  # of the texts that its encoder reads

    @classmethod
    def of(cls, folder: Path, name: str) -> "Source":
        """A checkpoint that is no bundle: our rendering, with the prefix of its training."""
        origin = read_origin(folder, name)
        return cls(folder=folder, origin=origin, rendering=Rendering(prefix=origin.prefix))


def starting_runners(source: Source | None) -> dict[type, StageRunner]:
    """Returns the runners of all stages that need a training set and, perhaps, a checkpoint."""

    def take_weights(stage: TakeWeights, model: Model, context: RunContext) -> Model:
        folder = _folder_of(source, stage.origin)
        return _begin(open_checkpoint(folder, stage.origin.name, stage.layers), stage.origin, model, context)

    def take_streams(stage: TakeStreams, model: Model, context: RunContext) -> Model:
        folder, preset = _folder_of(source, stage.origin), context.preset
        if not isinstance(preset, CrossAttentionPreset):
            raise ConfigurationError(
                f"preset {preset.name} has one stream", next_step="give a preset of two, see cross_geometry"
            )
        taken = open_checkpoint(folder, stage.origin.name, stage.layers)
        return _begin(start_streams(taken, preset, stage.streams, stage.seed), stage.origin, model, context)

    def take_whole(stage: TakeWhole, model: Model, context: RunContext) -> Model:
        folder = _folder_of(source, stage.origin)
        return _begin(open_teacher_checkpoint(folder, context.preset), stage.origin, model, context)

    takes: dict[type, StageRunner] = {TakeWeights: take_weights, TakeStreams: take_streams, TakeWhole: take_whole}
    return {**RUNNERS, **takes, TrimVocabulary: trim}


def _folder_of(source: Source | None, origin: Origin) -> Path:
    if source is None or source.origin != origin:
        found = "none was given" if source is None else f"found {source.origin}"
        raise ConfigurationError(f"the recipe begins with {origin}, {found}", next_step="give --init that checkpoint")
    return source.folder


def _begin(taken: Checkpoint, origin: Origin, model: Model, context: RunContext) -> Model:
    say(f"weights of {origin.name}: {taken.report.describe()}")
    begun = replace(model, encoder=taken.encoder, origin=origin, new=taken.report.new)
    return begun.with_vocabulary(taken.tokenizer, context.training_set, context.preset.max_tokens)


def trim(stage: TrimVocabulary, model: Model, context: RunContext) -> Model:
    """Returns the model with at most ``stage.size`` tokens, and figures of what that costs each language."""
    if model.tokenizer is None or model.encoder is None:
        raise ConfigurationError("there is no vocabulary to trim", next_step="put a stage that takes weights before it")
    if isinstance(context.preset, WholePreset):
        raise ConfigurationError("an encoder that is taken as it is keeps its vocabulary", next_step="leave out the stage trim")
    size, marks = model.tokenizer.get_vocab_size(), len(MARKS) if has_marks(model.tokenizer) else 0
    trimmed = trim_vocabulary(remove_marks(model.tokenizer), _texts(context.training_set, stage), stage.size - marks)
    rows = np.concatenate([trimmed.rows, np.arange(size - marks, size)])
    replace_rows(model.encoder, rows)
    smaller = replace(model, figures=(*model.figures, *_coverage_figures(trimmed.coverage)))
    say(f"vocabulary: {len(rows):,} tokens of {size:,} are kept")
    tokenizer = add_marks(trimmed.tokenizer) if marks else trimmed.tokenizer
    return smaller.with_vocabulary(tokenizer, context.training_set, context.preset.max_tokens)


def _texts(training_set: TrainingSet, stage: TrimVocabulary) -> list[tuple[str, str]]:
    """(language, text) of the rows to learn from, at most as many as the stage says."""
    rows = training_set.learn.select_columns(["language", "text"])
    if len(rows) > stage.texts:
        drawn = generator_for("trim", training_set.manifest.content_hash, stage.seed).permutation(len(rows))
        rows = rows.select(drawn[: stage.texts])
    return [
        (language, without_marks(text, " "))
        for batch in rows.iter(1_000)
        for language, text in zip(batch["language"], batch["text"], strict=True)
    ]


def _coverage_figures(coverage: tuple[LanguageCoverage, ...]) -> tuple[Figure, ...]:
    figures = []
    for values in map(asdict, coverage):
        language, texts = values.pop("language"), values.pop("texts")
        figures += [
            Figure(name=f"vocabulary_{name}_{language}", value=value, measured_on=f"{texts:,} texts")
            for name, value in values.items()
        ]
    return tuple(figures)
