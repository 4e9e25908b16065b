"""A label set as Hugging Face datasets, one a split, every file's hash checked first and every listing with its text.

Rows keep the columns of their kind. What a key names comes from the set's own files, so that a rendering can be applied when
the set is opened; ``listing`` (``left_listing`` and ``right_listing`` of pairs) is the row of ``listings`` that the key names,
-1 where the label brought a text.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from datasets import Dataset, load_dataset

from m5model.data.keys import key_hash
from m5model.data.set_versions import read_label_manifest
from m5model.files import storage
from m5model.files.checksums import verify_files
from m5model.files.copies import local_copy
from m5model.runtime.rendering import DEFAULT_RENDERING, Rendering, render
from schemas.canonical import identify
from schemas.errors import BadDataError
from schemas.labels import DATA_FOLDER, LABEL_KINDS, LISTINGS_FOLDER, SPLIT, SPLITS, LabelKind, LabelSetManifest


@dataclass(frozen=True, kw_only=True)
class LabelSet:
    """One pinned version, opened."""

    manifest: LabelSetManifest
    splits: Mapping[str, Dataset]  # learn, validate, test: the kind's columns, texts filled in, and a 63-bit ``key`` a row
    listings: Dataset | None  # PINNED_LISTINGS; None where all rows bring texts
    rendering: Rendering

    @property
    def kind(self) -> LabelKind:
        return LABEL_KINDS[self.manifest.kind]

    @property
    def name(self) -> str:
        return f"{self.manifest.name}/{self.manifest.version}"

    @property
    def reference(self) -> dict[str, str]:
        """The values by which a bundle's manifest names the set."""
        manifest = self.manifest
        return {"name": manifest.name, "version": manifest.version, "content_hash": manifest.content_hash}

    def listing(self, row: Mapping[str, Any], side: str = "") -> Mapping[str, Any] | None:
        """The columns of the listing that a row names by key; None where it brought a text."""
        place = int(row[f"{side}listing"])
        return None if place < 0 or self.listings is None else self.listings[place]


def open_label_set(path: str, rendering: Rendering = DEFAULT_RENDERING) -> LabelSet:
    """Check every file's SHA-256 and the row count, and fill in the texts. Raises BadDataError for a damaged set."""
    manifest = read_label_manifest(path)
    folder = local_copy(path, manifest.files)
    if not storage.is_remote(path):
        verify_files(folder, manifest.files, f"label set {manifest.name}/{manifest.version}")
    if manifest.kind not in LABEL_KINDS:
        raise BadDataError(
            f"label set {path} is of kind {manifest.kind!r}, expected one of {', '.join(LABEL_KINDS)}",
            next_step="open it with the version of M5 that wrote it",
        )
    names = sorted(name for name in manifest.files if name.endswith(".parquet"))
    rows = _load([str(folder / name) for name in names if name.startswith(f"{DATA_FOLDER}/")])
    listed = [str(folder / name) for name in names if name.startswith(f"{LISTINGS_FOLDER}/")]
    if len(rows) != manifest.rows:
        raise BadDataError(
            f"label set {path} has {len(rows)} rows, its manifest says {manifest.rows}", next_step="import it again"
        )
    listings = _load(listed) if listed else None
    filled = _fill_texts(rows, LABEL_KINDS[manifest.kind], manifest, listings, rendering)
    split = np.asarray(filled[SPLIT.name])
    splits = {name: filled.select(np.flatnonzero(split == name)) for name in SPLITS}
    return LabelSet(manifest=manifest, splits=splits, listings=listings, rendering=rendering)


def _load(files: list[str]) -> Dataset:
    return load_dataset("parquet", data_files={"train": files}, split="train")


def _fill_texts(
    rows: Dataset, kind: LabelKind, manifest: LabelSetManifest, listings: Dataset | None, rendering: Rendering
) -> Dataset:
    """The rows with the text of every side, the place of its listing, and a key, in the order of their keys."""
    places = _places(listings)
    texts = [] if listings is None else [render(listing, rendering) for listing in listings]

    def fill(batch: dict[str, list[Any]]) -> dict[str, list[Any]]:
        filled: dict[str, list[Any]] = {"key": _row_keys(batch, kind)}
        for side in kind.sides:
            keys = zip(batch[f"{side}locale"], batch[f"{side}item_id"], strict=True)
            found = [places.get(key, -1) for key in keys]
            own = zip(found, batch[f"{side}text"], strict=True)
            filled[f"{side}text"] = [texts[place] if place >= 0 else render(text, rendering) for place, text in own]
            filled[f"{side}listing"] = found
        return filled

    decides = {"rows": manifest.content_hash, "files": manifest.files, "rendering": rendering.rendering_id}
    filled = rows.map(fill, batched=True, new_fingerprint=identify(decides, 32))
    return filled.select(np.argsort(np.asarray(filled["key"], np.int64), kind="stable"))


def _places(listings: Dataset | None) -> dict[tuple[str | None, str | None], int]:
    if listings is None:
        return {}
    return {key: place for place, key in enumerate(zip(listings["locale"], listings["item_id"], strict=True))}


def _row_keys(batch: Mapping[str, list[Any]], kind: LabelKind) -> list[int]:
    columns = [[str(value) for value in batch[name]] for name in kind.table.key]
    return [key_hash(*values) for values in zip(*columns, strict=True)]
