"""The teachers of a student: their bundles, opened, and what they say of a training set's texts.

Tensor suffixes: B rows, E dimensions of all teachers together.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor

from m5model.bundles.find import open_bundle
from m5model.data.randomness import generator_for
from m5model.data.token_rows import TokenRows, tokenize_rows
from m5model.data.training_sets import TrainingSet, render_again
from m5model.data.vocabulary import load_vocabulary
from m5model.distillation.teacher_outputs import TeacherTexts, TeacherVectors, open_outputs
from m5model.distillation.vectors import encode_all
from m5model.encoders.device import choose_device
from m5model.encoders.encoder import TextEncoder
from m5model.encoders.kinds import load_encoder
from m5model.runtime.rendering import Rendering
from m5model.training.config import Machine
from schemas.bundle import BundleManifest

Split = Literal["learn", "held_out"]


@dataclass(frozen=True, kw_only=True)
class Teacher:
    """A teacher bundle, opened: its encoder on the device that computes, and its vocabulary. It is only read."""

    folder: Path
    manifest: BundleManifest
    encoder: TextEncoder
    tokenizer: Tokenizer

    @property
    def rendering(self) -> Rendering:
        """Of the texts that it reads."""
        return Rendering.from_json(self.manifest.rendering)


@dataclass(frozen=True, kw_only=True)
class TaughtTexts:
    """The first texts of a split in a drawn order: as the student reads them, and the vectors that it should learn from."""

    rows: TokenRows  # all rows of the split, as the student's tokens
    chosen: np.ndarray  # (n,) int64 rows
    vectors: tuple[TeacherVectors, ...]  # none for a task that asks the teachers itself

    @property
    def keys(self) -> np.ndarray:
        """(n,) int64, of the listings."""
        return self.rows.keys[self.chosen]

    @property
    def lengths(self) -> np.ndarray:
        """(n,) int64 tokens."""
        return self.rows.lengths[self.chosen]

    @property
    def dimensions(self) -> int:
        """E, of all teachers together."""
        return sum(vectors.dimensions for vectors in self.vectors)

    def padded(self, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """ids_BL, mask_BL int64 of the places (B,) among the chosen."""
        return self.rows.padded(self.chosen[places])

    def targets(self, places: np.ndarray) -> np.ndarray:
        """The teachers' vectors side by side, (B, E) float32 of unit length: their cosine is the mean of the teachers'."""
        return join_teachers([vectors.of(places) for vectors in self.vectors])


@dataclass(frozen=True, kw_only=True)
class TaughtRows:
    """The texts of a step as the student reads them, and the teachers' vectors of them."""

    ids_BL: np.ndarray  # int64
    mask_BL: np.ndarray  # int64
    teacher_BE: np.ndarray  # float32, unit length
    tokens: int  # without padding

    def on(self, device: torch.device) -> tuple[Tensor, Tensor]:
        """Returns ids_BL and mask_BL as an encoder on that device reads them."""
        return torch.from_numpy(self.ids_BL).to(device), torch.from_numpy(self.mask_BL).to(device)


def taught_rows(texts: TaughtTexts, places: np.ndarray) -> TaughtRows:
    """The batch of the places (B,)."""
    ids_BL, mask_BL = texts.padded(places)
    return TaughtRows(ids_BL=ids_BL, mask_BL=mask_BL, teacher_BE=texts.targets(places), tokens=int(texts.lengths[places].sum()))


def join_teachers(vectors: Sequence[np.ndarray]) -> np.ndarray:
    """Unit vectors of several teachers (B, E1), (B, E2), … become unit vectors (B, E). Of none at all: (0, 0)."""
    if not vectors:
        return np.zeros((0, 0), np.float32)
    joined: np.ndarray = np.concatenate(vectors, axis=1) / np.sqrt(len(vectors), dtype=np.float32)
    return joined


def open_teacher(path: str, machine: Machine) -> Teacher:
    """Open the bundle at ``path`` (a folder or s3a:// URI), every byte checked."""
    folder, manifest = open_bundle(path)
    encoder: TextEncoder = load_encoder(folder)
    encoder.requires_grad_(False).to(choose_device(machine.device, machine.threads))
    return Teacher(folder=folder, manifest=manifest, encoder=encoder, tokenizer=load_vocabulary(folder))


@dataclass(frozen=True, kw_only=True)
class Teachers:
    """All teachers of one student, the training set that they speak of, and the folder that keeps what they say."""

    opened: tuple[Teacher, ...]
    training_set: TrainingSet
    outputs: str

    def taught(self, split: Split, rows: TokenRows, count: int) -> TaughtTexts:
        """The first ``count`` texts of the split, whose rows the student reads as ``rows``; all where there are fewer."""
        content, order = self._order(split, rows)
        vectors = tuple(self._vectors(teacher, split, content, order, count) for teacher in self.opened)
        return TaughtTexts(rows=rows, chosen=order[:count], vectors=vectors)

    def drawn(self, split: Split, rows: TokenRows, count: int) -> TaughtTexts:
        """The same texts without any vectors, for what asks the teachers while it learns."""
        _, order = self._order(split, rows)
        return TaughtTexts(rows=rows, chosen=order[:count], vectors=())

    def _order(self, split: Split, rows: TokenRows) -> tuple[str, np.ndarray]:
        """A name of the split's texts, and the order in which they are drawn."""
        content = f"{self.training_set.manifest.content_hash}-{split}"
        return content, generator_for("teacher outputs", content).permutation(len(rows.keys))

    def _vectors(self, teacher: Teacher, split: Split, content: str, order: np.ndarray, count: int) -> TeacherVectors:
        """The teacher reads the texts in its own rendering."""
        read = render_again(self.training_set, teacher.rendering)
        rows = tokenize_rows(read.learn if split == "learn" else read.held_out, teacher.tokenizer, teacher.manifest.max_tokens)
        texts = TeacherTexts(
            teacher=teacher.manifest.id,
            order=order,
            compute=partial(encode_all, teacher.encoder, rows),
            content=f"{content}-{teacher.rendering.rendering_id}",
        )
        return open_outputs(self.outputs, texts, count)
