"""The recipe of a student: begin, imitate a teacher layer by layer, then the teachers' vectors, then their judgements on pairs,
then labels, then int8 graphs.

student(TINY, (teacher_manifest,), steps=300)                              vocabulary → pretrain → imitation → …
student(cut(teacher, layers), (teacher,), start_from=teacher, layers=…)    begin → layers → imitation → judgements → …

Where they are asked for, relations come before imitation, and soft targets of a cross-encoder after judgements.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from m5model.bundles.geometry import preset_of
from m5model.distillation import imitation, judgements, layerwise, relations, soft_targets
from m5model.distillation.parts import PARTS
from m5model.encoders.attention_parts import weights_behind
from m5model.encoders.presets import EncoderPreset, layer_parameters
from m5model.export.quantization import QUANTIZATIONS, Quantization
from m5model.training.config import TrainingConfig
from m5model.training.recipes import Recipe, contrast_shares, contrast_stage, pace_of, pretrain
from m5model.training.shares import TaskShare
from m5model.training.stages import LearnTasks, LearnVocabulary
from schemas.bundle import TOKENIZER_FILE, BundleManifest
from schemas.checks import require
from schemas.errors import ConfigurationError

# Texts of a step of imitation, at most: decides how many of a large training set's texts the teachers read.
FEWEST_TOKENS = 24  # of a text, nearly
TEXTS_PER_STEP = imitation.Settings(teachers=()).token_budget // FEWEST_TOKENS
FEWEST_SOFT_PAIRS = 256  # that a cross-encoder reads
SHORT_SHARE = 1 / 3  # of the steps by layers, on texts as short as queries: docs/decisions/2026-11-28-layers-first.md
STARTED_RATE = 2e-4  # peak learning rate of an encoder that lost layers: higher than to train it on, for it must find back


@dataclass(frozen=True, kw_only=True)
class TakeVocabulary:
    """Take the vocabulary of the teacher."""

    bundle: str  # id
    stage: str = field(default="vocabulary", init=False)


@dataclass(frozen=True, kw_only=True)
class BeginWith:
    """Begin with the encoder, the vocabulary and, where all layers are taken, the heads of another bundle."""

    bundle: str  # id
    layers: tuple[int, ...] = ()  # by number from 0; empty for all
    stage: str = field(default="begin", init=False)


@dataclass(frozen=True, kw_only=True)
class ExportGraphs:
    """ONNX graphs, fp32 and int8."""

    quantization: Quantization = "static"
    stage: str = field(default="export", init=False)

    def __post_init__(self) -> None:
        known = f"quantization is {self.quantization!r}, expected one of {', '.join(QUANTIZATIONS)}"
        require("stage export", {known: self.quantization in QUANTIZATIONS})


def student(
    preset: EncoderPreset,
    teachers: Sequence[BundleManifest],
    *,
    start_from: BundleManifest | None = None,
    layers: tuple[int, ...] = (),
    pairs: str = "",
    steps: int | None = None,
    without: Sequence[str] = (),
    seed: int = 0,
    quantization: Quantization = "static",
    relations_of: int | None = None,
    soft: soft_targets.Settings | None = None,
) -> Recipe:
    """A student of these teachers. It begins with ``start_from``, or anew with a short pre-training of its own.

    ``layers`` are those of ``start_from`` that it takes, ``pairs`` a label set to learn from at the end, ``steps`` the sum of
    all parts (the preset's own number otherwise), ``without`` names parts to leave out. Begun with its only teacher whole it
    learns from pairs alone; given no steps, it is the teacher, exported. ``relations_of`` is the layer of the (first) teacher
    whose relations it imitates, ``soft`` says how it learns from a cross-encoder on ``pairs``. Raises ConfigurationError for a
    bundle of another size than the preset, for relations of other tokens, and for steps in which nothing would be learned.
    """
    rules = {f"without {part}: expected one of {', '.join(PARTS)}": part in PARTS for part in without}
    layout = f"preset {preset.name} has another layout than students ({type(preset).__name__})"
    require("recipe student", {**rules, layout: type(preset) is EncoderPreset})
    total = pace_of(preset).steps if steps is None else steps
    is_teacher = start_from is not None and not layers and [one.id for one in teachers] == [start_from.id]
    absent = {*without, *(() if start_from is None else ("pretrain",)), *(() if pairs else ("contrast",))}
    absent |= {"relations", "imitation", "judgements"} if is_teacher else set()  # it would imitate itself
    followed = start_from is not None and bool(layers) and start_from.id in [one.id for one in teachers]
    absent |= set() if followed else {layerwise.NAME}
    absent |= {"relations"} if relations_of is None else set()
    absent |= {"soft_targets"} if soft is None or not pairs else set()
    parts = _share_out(total, [part for part in PARTS if part not in absent])
    if steps and not parts:
        raise ConfigurationError(
            f"nothing would be learned in {steps:,} steps: {_why_nothing(is_teacher)}",
            next_step="give labelled pairs (--pairs), other --layers or --candidates; or 0 steps to export the bundle as it is",
        )
    stages: tuple[object, ...] = ()
    if start_from is None:
        stages = _begin_anew(preset, teachers[0], parts.get("pretrain", 0), seed)
    else:
        stages = _begin_with(preset, start_from, layers)
    if "relations" in parts:
        _require_one_vocabulary(preset, teachers[0], start_from)
    if total or not is_teacher:
        taught = _Taught(
            preset=preset,
            teachers=teachers,
            pairs=pairs,
            seed=seed,
            followed=start_from.id if followed and start_from is not None else "",
            layers=layers,
            layer=relations_of,
            soft=soft,
        )
        stages = (*stages, *_learn(taught, parts))
    return Recipe(name="student", preset=preset, stages=(*stages, ExportGraphs(quantization=quantization)))


def _why_nothing(is_teacher: bool) -> str:
    return "the student begins as its own teacher, and there are no pairs" if is_teacher else "every part is left out"


def cut(preset: EncoderPreset, layers: Sequence[int]) -> EncoderPreset:
    """The geometry that is left of ``preset`` with these layers only; the whole one where none are named."""
    if not layers:
        return preset
    lost = (preset.layers - len(layers)) * layer_parameters(preset.hidden_size, preset.intermediate_size)
    name = f"{len(layers)}x{preset.hidden_size}"
    return replace(preset, name=name, layers=len(layers), parameters=preset.parameters - lost)


def _share_out(total: int, parts: Sequence[str]) -> dict[str, int]:
    """The steps of each part; what rounding leaves goes to the first."""
    whole = sum(PARTS[part] for part in parts)
    steps = {part: int(total * PARTS[part] / whole) for part in parts}
    if parts:
        first = "imitation" if "imitation" in parts else parts[0]
        steps[first] += total - sum(steps.values())
    return steps


@dataclass(frozen=True, kw_only=True)
class _Taught:
    """Holds what the stages that teach a student are made from."""

    preset: EncoderPreset
    teachers: Sequence[BundleManifest]
    pairs: str
    seed: int
    followed: str  # the teacher that it took ``layers`` of; empty for none
    layers: tuple[int, ...]  # that it took of the bundle that it began with
    layer: int | None  # of the first teacher, for relations
    soft: soft_targets.Settings | None

    @property
    def ids(self) -> tuple[str, ...]:
        return tuple(teacher.id for teacher in self.teachers)


def _learn(taught: _Taught, parts: dict[str, int]) -> tuple[LearnTasks, ...]:
    """The stages that learn from teachers, then from labels."""
    rate = STARTED_RATE if taught.layers else pace_of(taught.preset).learning_rate
    later = rate / 2 if taught.layers else rate
    stages = []
    if layerwise.NAME in parts:
        stages.append(_layers(taught, parts[layerwise.NAME], rate))
    if "relations" in parts:
        stages.append(_relations(taught, parts["relations"], rate))
    if "imitation" in parts:
        texts = max(imitation.FITTED_TEXTS, parts["imitation"] * TEXTS_PER_STEP)
        share = TaskShare(task=imitation.NAME, settings=imitation.Settings(teachers=taught.ids, texts=texts))
        stages.append(_stage("imitation", share, parts["imitation"], rate, taught.seed))
    if "judgements" in parts:
        rows = judgements.Settings(teachers=()).batch_rows
        settings = judgements.Settings(teachers=taught.ids, texts=max(1, parts["judgements"]) * rows)
        share = TaskShare(task=judgements.NAME, settings=settings)
        stages.append(_stage("judgements", share, parts["judgements"], later, taught.seed))
    if "soft_targets" in parts and taught.soft is not None:
        pairs = max(FEWEST_SOFT_PAIRS, parts["soft_targets"] * taught.soft.token_budget // 48)
        share = TaskShare(task=soft_targets.NAME, settings=replace(taught.soft, pairs=pairs), labels=taught.pairs)
        stages.append(_stage("soft_targets", share, parts["soft_targets"], later, taught.seed))
    if "contrast" in parts:
        shares = contrast_shares(taught.pairs, "")
        stages.append(contrast_stage(taught.preset, shares, parts["contrast"], taught.seed))
    return tuple(stages)


def _layers(taught: _Taught, steps: int, rate: float) -> LearnTasks:
    """Embeddings are the teacher's own and stay so."""
    own = layerwise.Settings(teacher=taught.followed, layers=taught.layers)
    settings = replace(own, texts=max(1, steps * own.token_budget // FEWEST_TOKENS), short_share=SHORT_SHARE)
    stage = _stage(layerwise.NAME, TaskShare(task=layerwise.NAME, settings=settings), steps, rate, taught.seed)
    return replace(stage, frozen=("embeddings.",))


def _relations(taught: _Taught, steps: int, rate: float) -> LearnTasks:
    """Weights behind the queries, keys and values of the last layer do not learn here."""
    teacher = taught.teachers[0]
    settings = relations.Settings(
        teacher=teacher.id,
        layer=relations.LAST if taught.layer is None else taught.layer,
        heads=relations.heads_for(taught.preset.hidden_size, teacher.hidden_size),
        texts=max(1, steps) * TEXTS_PER_STEP,
    )
    stage = _stage("relations", TaskShare(task=relations.NAME, settings=settings), steps, rate, taught.seed)
    return replace(stage, frozen=weights_behind(taught.preset.layers))


def _require_one_vocabulary(preset: EncoderPreset, teacher: BundleManifest, start_from: BundleManifest | None) -> None:
    """Refuse relations where student and teacher would cut a text into other tokens."""
    takes = _takes_vocabulary(preset, teacher)
    if start_from is not None:
        takes = start_from.files[TOKENIZER_FILE]["sha256"] == teacher.files[TOKENIZER_FILE]["sha256"]
    layout = type(preset_of(teacher)) is EncoderPreset
    require(
        "relations",
        {
            f"{teacher.id} has another layout than students": layout,
            f"the student has another vocabulary than {teacher.id}: expected --start-from teacher, or its vocabulary": takes,
        },
    )


def _stage(name: str, share: TaskShare, steps: int, learning_rate: float, seed: int) -> LearnTasks:
    return LearnTasks(stage=name, tasks=(share,), training=TrainingConfig(steps=steps, learning_rate=learning_rate, seed=seed))


def _begin_anew(preset: EncoderPreset, teacher: BundleManifest, steps: int, seed: int) -> tuple[object, ...]:
    """The teacher's vocabulary where it has the size that the preset asks for, else one learned; then a pre-training."""
    # Another seed: with the teacher's, a student of its size would begin with the teacher's weights.
    own_seed = seed + 1
    learn = LearnVocabulary(size=preset.vocabulary_size, seed=own_seed)
    vocabulary = TakeVocabulary(bundle=teacher.id) if _takes_vocabulary(preset, teacher) else learn
    return vocabulary, pretrain(pace_of(preset), steps=steps, seed=own_seed)


def _takes_vocabulary(preset: EncoderPreset, teacher: BundleManifest) -> bool:
    """Can the student read by the teacher's vocabulary? That of an encoder of two streams has marks, that of one taken as it is
    has control tokens at other ids."""
    geometry = preset_of(teacher)
    return type(geometry) is EncoderPreset and geometry.vocabulary_size == preset.vocabulary_size


def _begin_with(preset: EncoderPreset, bundle: BundleManifest, layers: tuple[int, ...]) -> tuple[object, ...]:
    geometry = preset_of(bundle)
    if type(geometry) is not EncoderPreset:
        raise ConfigurationError(
            f"cannot begin with {bundle.id}: it has another layout than students ({type(geometry).__name__})",
            next_step="begin with a bundle of one stream, or anew",
        )
    found = f"{len(layers) or bundle.layers} layers x {bundle.hidden_size}, {bundle.max_tokens} tokens"
    expected = f"{preset.layers} layers x {preset.hidden_size}, {preset.max_tokens} tokens"
    if found != expected:
        raise ConfigurationError(
            f"cannot begin with {bundle.id}: it has {found}, preset {preset.name} has {expected}",
            next_step=f"give --preset {bundle.preset}, or begin without a bundle",
        )
    return (BeginWith(bundle=bundle.id, layers=layers),)
