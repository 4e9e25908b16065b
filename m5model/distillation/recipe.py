"""The recipe of a student: a vocabulary, a short pre-training of its own, its teacher's judgements, and int8 graphs.

student(TINY, teacher_manifest, steps=300)
"""

from dataclasses import dataclass, field

from m5model.bundles.geometry import preset_of
from m5model.distillation import judgements
from m5model.encoders.presets import EncoderPreset
from m5model.export.parity import ParityThresholds
from m5model.export.quantization import QUANTIZATIONS, Quantization
from m5model.training.config import TrainingConfig
from m5model.training.recipes import Recipe, pace_of, pretrain
from m5model.training.shares import TaskShare
from m5model.training.stages import LearnTasks, LearnVocabulary
from schemas.bundle import BundleManifest
from schemas.checks import is_number, require
from schemas.errors import ConfigurationError

# Of the steps: the student's own pre-training is short, the judgements take the rest.
PRETRAIN_SHARE = 0.5


@dataclass(frozen=True, kw_only=True)
class TakeVocabulary:
    """Take the vocabulary of the teacher."""

    bundle: str  # id
    stage: str = field(default="vocabulary", init=False)


@dataclass(frozen=True, kw_only=True)
class BeginWith:
    """Begin with the encoder, the vocabulary and the heads of another bundle."""

    bundle: str  # id
    stage: str = field(default="begin", init=False)


@dataclass(frozen=True, kw_only=True)
class ExportGraphs:
    """ONNX graphs, fp32 and int8."""

    quantization: Quantization = "static"
    stage: str = field(default="export", init=False)

    def __post_init__(self) -> None:
        known = f"quantization is {self.quantization!r}, expected one of {', '.join(QUANTIZATIONS)}"
        require("stage export", {known: self.quantization in QUANTIZATIONS})


@dataclass(frozen=True, kw_only=True)
class StudentGate:
    """The thresholds that a student must meet. They are in no recipe, because a threshold changes no vector."""

    # Pearson, over pairs of held-out texts, of student's and teacher's similarities.
    min_correlation: float = 0.8
    parity: ParityThresholds = field(default_factory=ParityThresholds)

    def __post_init__(self) -> None:
        sense = f"min_correlation is {self.min_correlation}, expected -1 to 1"
        require("student's gate", {sense: is_number(self.min_correlation, -1, 1)})


def student(
    preset: EncoderPreset,
    teacher: BundleManifest,
    *,
    start_from: BundleManifest | None = None,
    steps: int | None = None,
    seed: int = 0,
    quantization: Quantization = "static",
) -> Recipe:
    """A student of that teacher. It begins with ``start_from``, or anew with a short pre-training of its own.

    ``steps`` is the sum of both trainings (the preset's own number otherwise). Begun with its teacher and given no steps, it is
    the teacher, exported. Raises ConfigurationError for a bundle of
    another size than the preset.
    """
    layout = f"preset {preset.name} has another layout than students ({type(preset).__name__})"
    require("recipe student", {layout: type(preset) is EncoderPreset})
    pace = pace_of(preset)
    total = pace.steps if steps is None else steps
    own_steps = round(total * PRETRAIN_SHARE)
    training = TrainingConfig(steps=total - own_steps, learning_rate=pace.learning_rate, seed=seed)
    judging = TaskShare(task=judgements.NAME, settings=judgements.Settings(teacher=teacher.id))
    learns = LearnTasks(stage="judgements", tasks=(judging,), training=training)
    judges = () if _is_teacher(start_from, teacher, total) else (learns,)
    return Recipe(
        name="student",
        preset=preset,
        stages=(
            *(_begin_anew(preset, teacher, own_steps, seed) if start_from is None else _begin_with(preset, start_from)),
            *judges,
            ExportGraphs(quantization=quantization),
        ),
    )


def _is_teacher(start_from: BundleManifest | None, teacher: BundleManifest, steps: int) -> bool:
    """Will the student have its teacher's weights?"""
    return steps == 0 and start_from is not None and start_from.id == teacher.id


def _begin_anew(preset: EncoderPreset, teacher: BundleManifest, steps: int, seed: int) -> tuple[object, ...]:
    """The teacher's vocabulary where it has the size that the preset asks for, else one learned; then a pre-training."""
    # Another seed: with the teacher's, a student of its size would begin with the teacher's weights.
    own_seed = seed + 1
    geometry = preset_of(teacher)
    # That of an encoder of two streams has marks, that of one taken as it is has control tokens at other ids.
    takes = type(geometry) is EncoderPreset and geometry.vocabulary_size == preset.vocabulary_size
    learn = LearnVocabulary(size=preset.vocabulary_size, seed=own_seed)
    vocabulary = TakeVocabulary(bundle=teacher.id) if takes else learn
    return vocabulary, pretrain(pace_of(preset), steps=steps, seed=own_seed)


def _begin_with(preset: EncoderPreset, bundle: BundleManifest) -> tuple[object, ...]:
    geometry = preset_of(bundle)
    if type(geometry) is not EncoderPreset:
        raise ConfigurationError(
            f"cannot begin with {bundle.id}: it has another layout than students ({type(geometry).__name__})",
            next_step="begin with a bundle of one stream, or anew",
        )
    found = f"{bundle.layers} layers x {bundle.hidden_size}, {bundle.max_tokens} tokens"
    expected = f"{preset.layers} layers x {preset.hidden_size}, {preset.max_tokens} tokens"
    if found != expected:
        raise ConfigurationError(
            f"cannot begin with {bundle.id}: it has {found}, preset {preset.name} has {expected}",
            next_step=f"give --preset {bundle.preset}, or begin without a bundle",
        )
    return (BeginWith(bundle=bundle.id),)
