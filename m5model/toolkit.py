"""The toolkit, which ``import m5model`` offers. ``finetune``, ``distill`` and ``export`` need torch (m5[train]).

Errors are those of schemas.errors; each says what to do next, and names the row where it is about one.
"""

import asyncio
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from m5model.bundles.find import find_bundle, open_bundle
from m5model.runtime.encoder import Encoder, read_model
from schemas.bundle import BundleManifest, Precision
from schemas.checks import is_whole, require
from schemas.errors import ConfigurationError, ModelInputError
from schemas.space import ComparableSpaces
from schemas.workspace import Workspace

if TYPE_CHECKING:
    import pyarrow as pa

    from m5model.distillation.thresholds import StudentGate
    from m5model.training.config import Machine
    from m5model.training.recipes import Recipe
    from m5model.training.starting import Source

Texts = Iterable[Mapping[str, Any] | str]
# How far from 1 the length of a vector may be: float32 sums of a thousand squares are off by less.
UNIT_TOLERANCE = 1e-3


@dataclass(frozen=True, kw_only=True)
class MadeBundle:
    """A bundle that was made: where it lies, and what its manifest says."""

    path: str
    manifest: BundleManifest

    @property
    def id(self) -> str:
        return self.manifest.id

    @property
    def space_id(self) -> str:
        """Of its int8 vectors where it has an int8 graph."""
        return self.manifest.space_id


def load(
    bundle: str | os.PathLike[str] | None = None,
    precision: Precision = "int8",
    threads: int = 1,
    *,
    workspace: str | None = None,
) -> Encoder:
    """An encoder for a bundle, every byte of it checked first.

    ``bundle`` is a folder, an s3a:// URI or an id in the workspace; None is the workspace's newest student. ``workspace`` is a
    path or a URI, else $M5_WORKSPACE, else ./workspace. ``threads`` calls run side by side; the vectors do not depend on it.
    The encoder may be used from several threads, after a fork, and where a pickle of it was sent.

    Raises DamagedFileError for a damaged bundle, ConfigurationError where there is none or it has no graph of that precision.
    """
    folder, manifest = open_bundle(_find(bundle, workspace, "student"))
    return Encoder(read_model(folder, manifest, precision), threads=threads)


def encode(
    bundle: Encoder | str | os.PathLike[str],
    texts: Texts,
    precision: Precision = "int8",
    threads: int = 1,
    *,
    workspace: str | None = None,
) -> np.ndarray:
    """Unit vectors of texts or listings: float32 (n, d), in their order, the same bytes in any batch.

    ``bundle`` is what ``load`` takes, or an encoder that was loaded: load once to encode often. ``texts`` is a list, an
    iterator, a data frame or an Arrow table. Raises ModelInputError naming the row that cannot be encoded, and what ``load``
    raises.
    """
    encoder = bundle if isinstance(bundle, Encoder) else load(bundle, precision, threads, workspace=workspace)
    return encoder.encode(texts)


async def encode_async(encoder: Encoder, texts: Texts) -> np.ndarray:
    """As ``encode``, beside the event loop, which goes on meanwhile."""
    return await asyncio.to_thread(encoder.encode, texts)


def similarity(left_ND: np.ndarray, right_MD: np.ndarray, *, encoders: tuple[Encoder, Encoder] | None = None) -> np.ndarray:
    """Cosines of all pairs: float32 (n, m), from -1 to 1, of unit vectors (n, d) and (m, d) of one space.

    ``encoders`` are those that gave the left and the right vectors: SpaceMismatchError, naming both spaces, where these may not
    be compared. Raises ModelInputError for arrays of other shapes, and naming the row that is not finite or not of unit length.
    """
    if encoders is not None:
        known = ComparableSpaces.of((one.space_id, one.same_space) for one in encoders)
        known.require_one(one.space_id for one in encoders)
    left_ND, right_MD = _unit_rows(left_ND, "left"), _unit_rows(right_MD, "right")
    if left_ND.shape[1] != right_MD.shape[1]:
        raise ModelInputError(
            f"left has {left_ND.shape[1]} dimensions, right {right_MD.shape[1]}",
            next_step="compare vectors of one bundle, with the same number of dimensions",
        )
    return np.clip(left_ND @ right_MD.T, -1.0, 1.0)


def read_features(
    view: str,
    *,
    space: str | None,
    columns: Iterable[str] | None = None,
    as_of: int | str | None = None,
    workspace: str | None = None,
) -> "pa.RecordBatchReader":
    """Rows of a published feature view, batch by batch: ``.read_all()`` for Arrow, ``.read_pandas()`` for pandas.

    ``space`` is the space id that the reader was trained on; None for one that compares no vectors and no scores. ``columns``
    are all otherwise. ``as_of`` is a published version, or a time (ISO 8601); what readers see now otherwise.

    Raises SpaceMismatchError where the rows are of another space, ConfigurationError where there is no such view, version or
    column; each says what to do.
    """
    from m5model.features.reading import open_view

    opened = open_view(Workspace.resolve(workspace), view, space_id=space, as_of=as_of)
    return opened.reader(None if columns is None else list(columns))


def finetune(
    bundle: str | os.PathLike[str],
    *,
    pairs: str | None = None,
    tasks: Mapping[str, str] | None = None,
    steps: int,
    training_set: str | None = None,
    workspace: str | None = None,
    seed: int = 0,
    device: str = "auto",
    threads: int = 0,
) -> MadeBundle:
    """Train on from a bundle and publish what it becomes, a teacher: ``export`` makes its int8 graphs.

    ``bundle`` is an id or a path, "starter", a folder with a checkpoint, or a name of the Hugging Face hub. It learns from
    ``pairs`` (a label set of that kind: contrast), or from ``tasks`` (task → label set: a mixture, m5model/tasks has their
    names), or, without either, from the training set's own texts (masked language modelling). ``steps`` are optimiser steps,
    ``training_set`` is NAME or NAME/VERSION, else the newest. Killed and called again with the same arguments, it goes on.

    Raises ConfigurationError for names that there are not and for less than one step or task, GateRefusedError where a task got
    no better on held-out rows.
    """
    from m5model.bundles.sources import open_source
    from m5model.data.set_versions import find_training_set
    from m5model.data.training_sets import open_training_set
    from m5model.encoders.huggingface import read_geometry
    from m5model.export.teacher import train_teacher

    if pairs and tasks:
        raise ConfigurationError(
            "pairs and tasks are both given", next_step="give one; the task duplicates learns from pairs, too"
        )
    rules = {f"steps is {steps!r}, expected 1 or more": is_whole(steps, 1), "tasks is empty": tasks is None or bool(tasks)}
    require("fine-tuning", rules)
    place = Workspace.resolve(workspace)
    source = open_source(place, os.fspath(bundle))
    found = open_training_set(find_training_set(place, training_set), source.rendering)
    recipe = _finetuning(source, read_geometry(source.folder), pairs, tasks, steps, seed)
    manifest = train_teacher(place, found, recipe, _machine(device, threads), source)
    return MadeBundle(path=place.bundle(manifest.id), manifest=manifest)


def distill(
    *teachers: str | os.PathLike[str],
    start_from: str | None = None,
    layers: tuple[int, ...] = (),
    preset: str | None = None,
    pairs: str | None = None,
    attributes: str | None = None,
    same_space_as: str | None = None,
    relations_of: int | None = None,
    cross_encoder: str | None = None,
    steps: int | None = None,
    training_set: str | None = None,
    workspace: str | None = None,
    gate: "StudentGate | None" = None,
    seed: int = 0,
    device: str = "auto",
    threads: int = 0,
) -> MadeBundle:
    """Teach a student and publish it with its ONNX graphs, as ``m5 distill``, whose help explains the arguments.

    ``teachers`` are ids or paths, the newest teacher without any. ``start_from`` is "teacher", an id or a path: a student with
    those ``layers`` of it; without it, a new encoder of the size ``preset``. ``gate`` are thresholds
    (m5model.distillation.thresholds), the usual ones without it. Raises ConfigurationError for what does not fit,
    GateRefusedError where the student is not good enough: nothing is published then.
    """
    place = Workspace.resolve(workspace)
    return _fulfil(
        place,
        {
            "teachers": tuple(map(os.fspath, teachers)) or (None,),
            "start_from": start_from,
            "layers": tuple(layers),
            "preset": preset,
            "pairs": pairs or "",
            "attributes": attributes or "",
            "same_space_as": same_space_as,
            "relations_of": relations_of,
            "cross_encoder": cross_encoder,
            "steps": steps,
            "training_set": training_set,
            "seed": seed,
            "machine": _machine(device, threads),
        },
        gate,
    )


def export(
    bundle: str | os.PathLike[str],
    *,
    training_set: str | None = None,
    workspace: str | None = None,
    gate: "StudentGate | None" = None,
    device: str = "auto",
    threads: int = 0,
) -> MadeBundle:
    """A teacher as it is, as a student bundle: ONNX graphs in fp32 and int8, with evidence of what int8 costs.

    The training set's texts calibrate int8 and judge it. Raises as ``distill``.
    """
    return distill(
        bundle,
        start_from="teacher",
        steps=0,
        training_set=training_set,
        workspace=workspace,
        gate=gate,
        device=device,
        threads=threads,
    )


def _find(bundle: str | os.PathLike[str] | None, workspace: str | None, kind: Any) -> str:
    named = None if bundle is None else os.fspath(bundle).rstrip("/")
    return find_bundle(Workspace.resolve(workspace), named, kind, "its path")


def _unit_rows(vectors_BD: np.ndarray, side: str) -> np.ndarray:
    found_BD = np.asarray(vectors_BD, np.float32)
    if found_BD.ndim != 2:
        raise ModelInputError(
            f"{side} has the shape {found_BD.shape}, expected (vectors, dimensions)",
            next_step="give what encode returned; a single vector as vector[None]",
        )
    lengths_B = np.linalg.norm(found_BD, axis=1)
    wrong = np.flatnonzero(~(np.abs(lengths_B - 1) <= UNIT_TOLERANCE))  # NaN is wrong, too
    if len(wrong):
        raise ModelInputError(
            f"{side}: row {wrong[0]} has the length {lengths_B[wrong[0]]:.4g}, expected 1",
            next_step="give vectors as encode returned them, or divide each by its length",
        )
    return found_BD


def _finetuning(
    source: "Source", preset: Any, pairs: str | None, tasks: Mapping[str, str] | None, steps: int, seed: int
) -> "Recipe":
    from m5model.training.recipes import from_weights, multitask

    if tasks:
        return multitask(from_weights(preset, source.origin, seed=seed), tasks, steps=steps, seed=seed)
    return from_weights(preset, source.origin, pairs=pairs or "", steps=steps, seed=seed)


def _fulfil(workspace: Workspace, wishes: Mapping[str, Any], gate: "StudentGate | None") -> MadeBundle:
    from m5model.distillation.request import Request, fulfil
    from m5model.distillation.thresholds import StudentGate

    request: Request = Request(workspace=workspace, gate=gate or StudentGate(), **wishes)
    manifest = fulfil(request)
    return MadeBundle(path=workspace.bundle(manifest.id), manifest=manifest)


def _machine(device: str, threads: int) -> "Machine":
    from m5model.training.config import Machine

    return Machine(device=device, threads=threads)
