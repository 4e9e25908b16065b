"""An encoder fine-tuned on a partner's rows by the recipes' own stages, and kept as a checkpoint folder."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from m5model.bundles.sources import open_source
from m5model.data.vocabulary import load_vocabulary, save_vocabulary
from m5model.encoders.encoder import TextEncoder
from m5model.encoders.huggingface import read_geometry
from m5model.encoders.kinds import load_encoder, save_encoder
from m5model.files.manifests import read_object
from m5model.partners.strategy import Given
from m5model.partners.torch_vectors import encoder_vectors
from m5model.partners.training_rows import as_label_set, as_training_set
from m5model.partners.vectors import Vectors, name_space
from m5model.runtime.rendering import Rendering
from m5model.training.config import Machine
from m5model.training.stages import Model, RunContext, run_stages
from m5model.training.starting import Source, TakeWeights, TrimVocabulary, starting_runners
from schemas.canonical import canonical_json, identify
from schemas.errors import ConfigurationError
from schemas.workspace import Workspace

LABELS = "rows"  # what stages call the partner's rows
RENDERING_FILE = "rendering.json"
# The rows were checked before; what these guards try costs minutes, and their own tests hold them.
SLOW_GUARDS = ("leakage", "gradients", "chance", "overfit", "learning_rate", "shuffled_labels")
# A vocabulary of more tokens than this is cut to the pieces that the partner's texts use: the table is most of the memory.
LARGE_VOCABULARY = 60_000
KEPT_VOCABULARY = 32_000


@dataclass(frozen=True, kw_only=True)
class Tower:
    """A fine-tuned encoder with what it needs to read texts."""

    encoder: TextEncoder
    tokenizer: Tokenizer
    rendering: Rendering
    max_tokens: int  # of a text
    space_id: str

    def vectors(self) -> Vectors:
        return encoder_vectors(
            self.encoder,
            self.tokenizer,
            max_tokens=self.max_tokens,
            rendering=self.rendering,
            space_id=self.space_id,
        )

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        save_encoder(folder, self.encoder.cpu(), self.max_tokens, self.rendering.prefix)
        save_vocabulary(folder, self.tokenizer, self.max_tokens, self.encoder.control_tokens)
        described = {"rendering": self.rendering.as_json(), "max_tokens": self.max_tokens, "space_id": self.space_id}
        (folder / RENDERING_FILE).write_text(canonical_json(described), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> "Tower":
        said = read_object((folder / RENDERING_FILE).read_bytes(), str(folder / RENDERING_FILE))
        return cls(
            encoder=load_encoder(folder),
            tokenizer=load_vocabulary(folder),
            rendering=Rendering.from_json(said["rendering"]),
            max_tokens=int(said["max_tokens"]),
            space_id=str(said["space_id"]),
        )


@dataclass(frozen=True, kw_only=True)
class Begun:
    """A checkpoint, opened, and the partner's rows as stages read them."""

    source: Source
    context: RunContext
    first: tuple[Any, ...]  # the stages that take the weights


def begin(given: Given, *, max_tokens: int, learn: np.ndarray | None = None, decides: object = None) -> Begun:
    """Open the checkpoint that ``given`` names. ``decides`` is what else decides the run: its checkpoints are gone on from."""
    if not given.source:
        raise ConfigurationError("there is no checkpoint to fine-tune", next_step="give --bundle, e.g. a student's id")
    source = open_source(Workspace(""), given.source)
    geometry = read_geometry(source.folder)
    is_large = geometry.vocabulary_size > LARGE_VOCABULARY
    preset = read_geometry(source.folder, (), KEPT_VOCABULARY) if is_large else geometry
    trims = (TrimVocabulary(size=KEPT_VOCABULARY),) if is_large else ()
    rows = "all" if learn is None else identify(learn.tolist())
    run = identify({"labels": given.data.source.content_hash, "origin": source.origin, "rows": rows, "decides": decides})
    context = RunContext(
        training_set=as_training_set(given.data, source.rendering),
        preset=replace(preset, max_tokens=min(max_tokens, preset.max_tokens)),
        machine=Machine(device=given.device, threads=given.threads, without_guards=SLOW_GUARDS, checkpoint_every=50),
        run=run,
        checkpoints=None if given.scratch is None else str(given.scratch / run),
        label_sets={LABELS: as_label_set(given.data, source.rendering, learn)},
    )
    return Begun(source=source, context=context, first=(TakeWeights(origin=source.origin), *trims))


def train(begun: Begun, stages: Sequence[Any]) -> Model:
    """Take the weights and run the stages. A killed run that is started again goes on where it was."""
    return run_stages((*begun.first, *stages), begun.context, starting_runners(begun.source))


def tower_of(begun: Begun, model: Model, max_tokens: int) -> Tower:
    """The encoder as the stages left it, in evaluation mode."""
    if model.encoder is None or model.tokenizer is None:
        raise ConfigurationError("there is no encoder", next_step="put a stage that takes weights first")
    return Tower(
        encoder=model.encoder.eval(),
        tokenizer=model.tokenizer,
        rendering=begun.source.rendering,
        max_tokens=max_tokens,
        space_id=name_space(begun.context.run, str(max_tokens)),
    )
