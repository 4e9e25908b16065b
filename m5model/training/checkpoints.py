"""Checkpoints of a run: weights, optimiser state, the step, and a running hash of what was consumed.

    FOLDER/step-00000200/{model.safetensors, optimizer.pt, manifest.json}     manifest.json last: with it, it is whole

Everything random is a function of the seed and the step, so no generator state is kept.
"""

import hashlib
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from m5model.encoders.loading import load_weights
from m5model.files import storage
from m5model.files.checksums import hash_files
from m5model.files.copies import local_copy
from m5model.files.manifests import from_json
from schemas.bundle import MANIFEST_FILE, WEIGHTS_FILE
from schemas.errors import ConfigurationError
from schemas.manifests import to_json

OPTIMIZER_FILE = "optimizer.pt"
NOTHING_CONSUMED = hashlib.sha256(b"").hexdigest()
KEPT = 2  # the newest, and one before it


@dataclass(frozen=True, kw_only=True)
class CheckpointManifest:
    """The manifest of a checkpoint: run, step, consumed rows, files."""

    run: str  # hash of all that decides the run, see training.loop
    step: int  # steps done
    consumed_hash: str  # running SHA-256 over task and keys of every step, in order
    files: dict[str, str]  # path → SHA-256
    last_loss: float | None = None  # of the last step done; a run that ended when it was killed still has to state it


@dataclass(frozen=True, kw_only=True)
class Restored:
    """A checkpoint whose weights were loaded."""

    manifest: CheckpointManifest
    optimizer_state: Mapping[str, Any]  # for the optimiser of the learner that has these weights


def consume(consumed_hash: str, task: str, keys: np.ndarray) -> str:
    """Returns the running hash after a step of ``task`` with rows of these keys (B,) int64."""
    return hashlib.sha256(bytes.fromhex(consumed_hash) + f"{task}\0".encode() + keys.astype("<i8").tobytes()).hexdigest()


class Checkpoints:
    """The checkpoints of one run in one folder, local or on S3. ``None`` as folder: keep none."""

    def __init__(self, folder: str | None, run: str) -> None:
        self._folder = folder
        self._run = run

    def save(
        self,
        weights: Mapping[str, Tensor],
        optimizer_state: Mapping[str, Any],
        step: int,
        consumed_hash: str,
        last_loss: float | None = None,
    ) -> None:
        """Write one checkpoint, whole or not at all, and drop the ones before the last two."""
        if self._folder is None:
            return
        with tempfile.TemporaryDirectory(prefix="m5-checkpoint-") as temporary:
            staging = Path(temporary)
            save_file({name: tensor.contiguous() for name, tensor in weights.items()}, staging / WEIGHTS_FILE)
            torch.save(dict(optimizer_state), staging / OPTIMIZER_FILE)
            files = {name: str(entry["sha256"]) for name, entry in hash_files(staging, but=MANIFEST_FILE).items()}
            manifest = CheckpointManifest(
                run=self._run, step=step, consumed_hash=consumed_hash, files=files, last_loss=last_loss
            )
            (staging / MANIFEST_FILE).write_text(to_json(manifest), encoding="utf-8")
            storage.upload_folder(staging, f"{self._folder}/step-{step:08d}")
        for name in self._whole()[:-KEPT]:
            storage.delete_folder(f"{self._folder}/{name}")

    def restore(self, model: nn.Module) -> Restored | None:
        """Load the newest whole checkpoint; None where there is none. Another run's raises ConfigurationError."""
        names = self._whole()
        if self._folder is None or not names:
            return None
        path = f"{self._folder}/{names[-1]}"
        where = f"{path}/{MANIFEST_FILE}"
        manifest = from_json(CheckpointManifest, storage.read_bytes(where), where)
        if manifest.run != self._run:
            raise ConfigurationError(
                f"{path} is a checkpoint of run {manifest.run}, expected {self._run}: settings, data or vocabulary differ",
                next_step="give the settings that it was started with, or another checkpoint folder",
            )
        local = local_copy(path, manifest.files)
        load_weights(model, local / WEIGHTS_FILE)
        state = torch.load(local / OPTIMIZER_FILE, weights_only=True, map_location="cpu")
        return Restored(manifest=manifest, optimizer_state=state)

    @property
    def is_begun(self) -> bool:
        """Is there a checkpoint to go on from?"""
        return bool(self._whole())

    def delete(self) -> None:
        """Drop them all: the run ended and its bundle is written."""
        if self._folder is not None:
            storage.delete_folder(self._folder)

    def _whole(self) -> list[str]:
        if self._folder is None:
            return []
        names = [name for name in storage.list_folders(self._folder) if name.startswith("step-")]
        return [name for name in names if storage.exists(f"{self._folder}/{name}/{MANIFEST_FILE}")]
