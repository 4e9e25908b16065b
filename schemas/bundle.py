"""A bundle: a directory that is a Hugging Face checkpoint plus ONNX graphs plus a manifest that pins every byte."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from schemas.figure import Figure
from schemas.space import SameSpace

MANIFEST_FILE = "manifest.json"
CONFIG_FILE = "config.json"
WEIGHTS_FILE = "model.safetensors"
TOKENIZER_FILE = "tokenizer.json"
ONNX_FP32_FILE = "onnx/model.onnx"
ONNX_INT8_FILE = "onnx/model_int8.onnx"
PROMPTS_FILE = "config_sentence_transformers.json"  # prefixes of texts, by name, as sentence-transformers has them
LICENCE_NOT_STATED = "not stated"
ORIGIN_FILE = "origin.json"  # beside a checkpoint that is no bundle yet: an Origin
HEADS_FOLDER = "heads"  # one file a task: what was trained beside the encoder
SAME_SPACE_FILE = "same_space.json"  # what BundleManifest.same_space says; a file, so that it is part of the bundle's id
ONNX_ENGINE_FILE = "onnx/model_int8_engine.onnx"  # the vectors of model_int8.onnx in less time, see m5model.export.engine_graph

Kind = Literal["teacher", "student"]
Precision = Literal["int8", "fp32"]
ONNX_FILES = (ONNX_FP32_FILE, ONNX_INT8_FILE, ONNX_ENGINE_FILE)
# What executors run: the first of these that a bundle has.
EXECUTOR_GRAPHS: dict[Precision, tuple[str, ...]] = {"int8": (ONNX_ENGINE_FILE, ONNX_INT8_FILE), "fp32": (ONNX_FP32_FILE,)}


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Starting weights that others trained: what they are, under which licence, and which bytes."""

    name: str  # as published, e.g. intfloat/multilingual-e5-small
    licence: str  # SPDX identifier, or LICENCE_NOT_STATED
    sha256: str  # of the file that the weights were read from
    prefix: str = ""  # what their training put before every text; see m5model.runtime.rendering.Rendering


@dataclass(frozen=True, kw_only=True)
class TrainedStage:
    """A stage of training as it went."""

    stage: str
    steps: int
    last_loss: float | None  # None where there was no step to do
    consumed_hash: str  # running SHA-256 over task and keys of every step


@dataclass(frozen=True, kw_only=True)
class BundleManifest:
    """The manifest: identity, geometry, origin, the gate's figures, and the hash of every file."""

    id: str
    space_id: str  # of what executors run: int8 where there is one, else fp32
    space_id_fp32: str
    kind: Kind
    preset: str
    created_at: str  # ISO 8601, UTC
    parameters: int  # of the encoder, without training heads
    hidden_size: int  # dimensions of a vector
    layers: int
    vocabulary_size: int
    max_tokens: int  # tokens, special ones included
    pooling: str
    rendering: Mapping[str, object]  # see m5model.runtime.rendering.Rendering
    runtime: str
    quantization: str  # "none" where there is no int8 graph
    training_set: Mapping[str, str] | None  # name, version, content_hash
    parent: str | None  # the teacher's bundle id
    gate: tuple[Figure, ...]  # what was measured, and the thresholds that were passed
    files: Mapping[str, Mapping[str, str | int]]  # path → {"sha256": hex, "bytes": int}
    recipe: Mapping[str, object] | None = None  # see m5model.training.recipes; None where no recipe made it
    trained: tuple[TrainedStage, ...] = ()
    # What the recipe calls a label set → name, version, content_hash.
    label_sets: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    origin: Origin | None = None  # of starting weights; None where training began with random ones
    # Other spaces that its int8 vectors may be compared with. A bundle that has any is for queries.
    same_space: tuple[SameSpace, ...] = ()
