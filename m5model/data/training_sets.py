"""A training set as a Hugging Face dataset, every file's hash checked first, and its split by listing key."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from datasets import Dataset, load_dataset

from m5model.data.keys import key_hash
from m5model.data.set_versions import read_manifest
from m5model.files import storage
from m5model.files.checksums import verify_files
from m5model.files.copies import local_copy
from m5model.runtime.rendering import DEFAULT_RENDERING, Rendering, render
from schemas.canonical import identify
from schemas.errors import BadDataError
from schemas.training_set import TrainingSetManifest

HELD_OUT_SHARE = 0.05
MINIMUM_HELD_OUT = 8
MINIMUM_ROWS = 32


@dataclass(frozen=True)
class TrainingSet:
    """Rows of one pinned version: the columns of schemas.training_set.TRAINING_ROWS, the rendered ``text``, and a 63-bit
    ``key`` of locale and item id."""

    manifest: TrainingSetManifest
    learn: Dataset
    held_out: Dataset  # the same columns; never learned from
    rendering: Rendering = DEFAULT_RENDERING  # of ``text``

    @property
    def reference(self) -> dict[str, str]:
        """The three values by which a bundle's manifest names the set."""
        return {"name": self.manifest.name, "version": self.manifest.version, "content_hash": self.manifest.content_hash}


def open_training_set(path: str, rendering: Rendering = DEFAULT_RENDERING) -> TrainingSet:
    """Check every file's SHA-256 and the row count, render the rows, and split them. Raises BadDataError for a damaged set."""
    manifest, files = _checked_files(path)
    rows = load_dataset("parquet", data_files={"train": files}, split="train")
    if len(rows) != manifest.rows or manifest.rows < MINIMUM_ROWS:
        raise BadDataError(
            f"training set {path} has {len(rows)} rows, its manifest says {manifest.rows}, at least {MINIMUM_ROWS} are needed",
            next_step="sample a larger one with jobs/sample_training_set.py",
        )
    rendered = _render_rows(rows, manifest, rendering)
    held_out = held_out_mask(np.asarray(rendered["key"], np.int64))
    return TrainingSet(
        manifest, rendered.select(np.flatnonzero(~held_out)), rendered.select(np.flatnonzero(held_out)), rendering
    )


def _checked_files(path: str) -> tuple[TrainingSetManifest, list[str]]:
    """The manifest and the local paths of its Parquet files, each of which has the SHA-256 that the manifest says."""
    manifest = read_manifest(path)
    folder = local_copy(path, manifest.files)
    if not storage.is_remote(path):
        verify_files(folder, manifest.files, f"training set {manifest.name}/{manifest.version}")
    return manifest, [str(folder / name) for name in sorted(manifest.files) if name.endswith(".parquet")]


def held_out_mask(keys: np.ndarray) -> np.ndarray:
    """Decides which rows are held out: keys (n,) int64 → (n,) bool.

    A row's place depends on its own key: those whose hash lies in the lowest 5% (for very small sets in a doubled share,
    until there are 8).
    """
    share = HELD_OUT_SHARE
    while True:
        mask: np.ndarray = keys < int(share * 2**63)
        if mask.sum() >= MINIMUM_HELD_OUT or share >= 0.4:
            return mask
        share *= 2


def render_again(training_set: TrainingSet, rendering: Rendering) -> TrainingSet:
    """The same rows and the same split, their texts rendered in another way: for an encoder that reads another rendering."""
    if rendering == training_set.rendering:
        return training_set
    learn, held_out = (_with_texts(rows, rendering) for rows in (training_set.learn, training_set.held_out))
    return TrainingSet(training_set.manifest, learn, held_out, rendering)


def _with_texts(rows: Dataset, rendering: Rendering) -> Dataset:
    def render_batch(batch: dict[str, list[Any]]) -> dict[str, list[Any]]:
        return {"text": [render(listing, rendering) for listing in _listings(batch)]}

    # The name of the cached result; datasets has no public name for that of its input.
    fingerprint = identify([rows._fingerprint, rendering.rendering_id], 32)
    return rows.map(render_batch, batched=True, new_fingerprint=fingerprint)


def _listings(batch: dict[str, list[Any]]) -> list[dict[str, Any]]:
    return [dict(zip(batch, values, strict=True)) for values in zip(*batch.values(), strict=True)]


def _render_rows(rows: Dataset, manifest: TrainingSetManifest, rendering: Rendering) -> Dataset:
    """The rows with columns text and key beside their own, in the order of the keys, so that file layout cannot matter."""

    def render_batch(batch: dict[str, list[Any]]) -> dict[str, list[Any]]:
        listings = _listings(batch)
        return {
            "text": [render(listing, rendering) for listing in listings],
            "key": [key_hash(listing["locale"], listing["item_id"]) for listing in listings],
        }

    decides = {"rows": manifest.content_hash, "files": manifest.files, "rendering": rendering.rendering_id, "columns": "all"}
    rendered = rows.map(render_batch, batched=True, new_fingerprint=identify(decides, 32))
    order = np.argsort(np.asarray(rendered["key"], np.int64), kind="stable")
    return rendered.select(order)
