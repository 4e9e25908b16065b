"""One model as the service has it: opened, checked, warm, with a cache of its own. A swap replaces the whole."""

import os
from dataclasses import dataclass, field

import numpy as np

from m5model.bundles.find import find_bundle, open_bundle, read_manifest
from m5model.bundles.prefixes import trained_prefixes
from m5model.files import storage
from m5model.runtime.encoder import Encoder, read_model
from m5model.serving.vector_cache import VectorCache
from schemas.bundle import BundleManifest, Precision
from schemas.workspace import Workspace

# What is served now, whatever it is: a client that names a bundle or a space instead is refused by every other.
ANY_MODEL = "m5"
# Lengths of the calls that a new model is warmed with, so that no client pays for the first of them.
WARM_LENGTHS = (4, 8, 16, 32)


@dataclass(frozen=True, kw_only=True)
class Reference:
    """Names the bundle to serve. It is looked up anew at every reload: a symlink or "the newest" may then be another one."""

    workspace: str | None  # None: $M5_WORKSPACE, else ./workspace
    bundle: str | None  # an id, a path or a URI; None: the newest student
    precision: Precision = "int8"
    space: str | None = None  # the id of a space that the vectors must compare with, whatever bundle is found; None: any

    def find(self) -> str:
        """The path, behind symlinks, so that all its files are of one bundle."""
        path = find_bundle(Workspace.resolve(self.workspace), self.bundle, "student", "its path").rstrip("/")
        return path if storage.is_remote(path) else os.path.realpath(path)


@dataclass(frozen=True, kw_only=True, eq=False)
class ServedModel:
    """An encoder and what is said of it."""

    manifest: BundleManifest
    encoder: Encoder
    prefixes: tuple[int, ...]  # dimensions that ``dimensions`` may ask for, beside all of them
    cache: VectorCache = field(repr=False)

    @property
    def names(self) -> tuple[str, ...]:
        """Names that a request may call it by."""
        others = (name for one in self.encoder.same_space for name in (one.bundle, one.space_id))
        return (ANY_MODEL, self.manifest.id, self.encoder.space_id, *others)


def open_model(reference: Reference, cache_mb: int) -> ServedModel:
    """Open the bundle that ``reference`` names now, every byte checked, and warm it.

    Raises ConfigurationError where there is none or it has no such graph, DamagedFileError where a byte differs,
    SpaceMismatchError where its vectors may not be compared with those of the reference's space.
    """
    folder, manifest = open_bundle(reference.find())
    encoder = Encoder(read_model(folder, manifest, reference.precision))
    encoder.require_comparable(*filter(None, (reference.space,)))
    for length in WARM_LENGTHS:
        encoder.encode_ids(np.zeros((1, min(length, encoder.max_tokens)), np.int64))
    return ServedModel(manifest=manifest, encoder=encoder, prefixes=trained_prefixes(manifest), cache=VectorCache(cache_mb))


def names_another(reference: Reference, model: ServedModel) -> bool:
    """Is the bundle that ``reference`` names now another than ``model``?"""
    return read_manifest(reference.find()).id != model.manifest.id
