"""A bundle in the making: its checkpoint files, and what its manifest will say beside what follows from the files."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from safetensors.torch import load_file, save_file

from m5model.data.label_sets import LabelSet
from m5model.data.training_sets import TrainingSet
from m5model.data.vocabulary import save_vocabulary
from m5model.encoders.encoder import count_parameters
from m5model.encoders.kinds import save_encoder
from m5model.runtime.rendering import DEFAULT_RENDERING, Rendering
from m5model.training.recipes import Recipe
from m5model.training.stages import Model
from m5model.training.task_setup import Head
from schemas.bundle import HEADS_FOLDER, BundleManifest, Kind, Origin, TrainedStage
from schemas.errors import ConfigurationError
from schemas.figure import Figure
from schemas.space import SameSpace

NO_QUANTIZATION = "none"


@dataclass(frozen=True, kw_only=True)
class BundleDraft:
    """A bundle without what follows from its files (id, space ids, hashes) and from its publication (time).

    See schemas.bundle.BundleManifest for what the fields mean.
    """

    kind: Kind
    preset: str
    parameters: int
    hidden_size: int
    layers: int
    vocabulary_size: int
    max_tokens: int
    pooling: str = "mean"
    rendering: Rendering = DEFAULT_RENDERING
    quantization: str = NO_QUANTIZATION
    training_set: Mapping[str, str] | None = None
    parent: str | None = None
    recipe: Mapping[str, object] | None = None
    trained: tuple[TrainedStage, ...] = ()
    origin: Origin | None = None
    gate: tuple[Figure, ...] = ()
    label_sets: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    same_space: tuple[SameSpace, ...] = ()


def draft_bundle(
    kind: Kind,
    model: Model,
    recipe: Recipe,
    training_set: TrainingSet,
    gate: tuple[Figure, ...],
    label_sets: Mapping[str, LabelSet] | None = None,
) -> BundleDraft:
    """The draft of what a recipe made. ``label_sets`` are those of the recipe, by what it calls them."""
    if model.encoder is None or model.tokenizer is None:
        raise _unfinished(recipe.name)
    preset = recipe.preset
    return BundleDraft(
        kind=kind,
        preset=preset.name,
        parameters=count_parameters(model.encoder),
        hidden_size=preset.hidden_size,
        layers=preset.layers,
        vocabulary_size=model.tokenizer.get_vocab_size(),
        max_tokens=preset.max_tokens,
        pooling=model.encoder.pooling,
        rendering=training_set.rendering,
        training_set=training_set.reference,
        recipe=recipe.as_json(),
        trained=model.trained,
        origin=model.origin,
        gate=(*model.figures, *gate),
        label_sets={name: label_set.reference for name, label_set in (label_sets or {}).items()},
    )


def write_checkpoint(folder: Path, model: Model, max_tokens: int, rendering: Rendering = DEFAULT_RENDERING) -> None:
    """The encoder as a Hugging Face checkpoint, its vocabulary, and the heads that there are, for those who train on."""
    if model.encoder is None or model.tokenizer is None:
        raise _unfinished(str(folder))
    save_encoder(folder, model.encoder.cpu(), max_tokens, rendering.prefix)
    save_vocabulary(folder, model.tokenizer, max_tokens, model.encoder.control_tokens)
    for task, head in model.heads.items():
        file = folder / HEADS_FOLDER / f"{task}.safetensors"
        file.parent.mkdir(exist_ok=True)
        save_file(dict(head), file)


def read_heads(folder: Path, manifest: BundleManifest) -> dict[str, Head]:
    """The heads that a bundle has, by task; none for a bundle without."""
    names = [Path(name) for name in manifest.files if name.startswith(f"{HEADS_FOLDER}/")]
    return {name.stem: load_file(folder / name) for name in names}


def _unfinished(what: str) -> ConfigurationError:
    return ConfigurationError(f"{what}: there is no encoder yet", next_step="give the recipe a vocabulary and a training stage")
