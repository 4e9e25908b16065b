"""The vectors that a model's page is about: of the graph that executors run, or of the weights where there is no graph.

Tensor suffixes: B texts, L tokens, D dimensions.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from onnxruntime import InferenceSession
from tokenizers import Tokenizer

from m5model.encoders.encoder import TextEncoder
from m5model.encoders.kinds import load_encoder
from m5model.runtime.batching import plan_batches
from m5model.runtime.encoder import open_session, read_model, run_graph
from m5model.runtime.rendering import Rendering
from m5model.runtime.tokens import open_tokenizer
from schemas.bundle import CONFIG_FILE, EXECUTOR_GRAPHS, TOKENIZER_FILE, WEIGHTS_FILE, BundleManifest, Precision
from schemas.errors import ConfigurationError

Compute = Callable[[np.ndarray], np.ndarray]  # token ids of texts of one length (B, L) int64 → unit vectors (B, D) float32


@dataclass(frozen=True, kw_only=True)
class OpenedModel:
    """A bundle, opened to be looked at."""

    compute: Compute
    vectors: str  # what computes them, for people
    encoder: TextEncoder | None  # None where the bundle holds no weights
    tokenizer: Tokenizer
    rendering: Rendering
    max_tokens: int

    def encode(self, texts: Sequence[np.ndarray]) -> np.ndarray:
        """Unit vectors (B, D) float32 of token ids (L,) each; nothing is padded."""
        return encode_rows(self.compute, texts)

    def encode_with_weights(self, texts: Sequence[np.ndarray]) -> np.ndarray:
        """The same by the weights, whatever computes the page's vectors."""
        if self.encoder is None:
            raise ConfigurationError("the bundle holds no weights")
        return encode_rows(_by_weights(self.encoder), texts)


def open_model(folder: Path, manifest: BundleManifest, threads: int) -> OpenedModel:
    """Open a bundle whose bytes were checked. Raises ConfigurationError where it has neither a graph nor weights."""
    torch.set_num_threads(threads)
    encoder: TextEncoder | None = None
    if WEIGHTS_FILE in manifest.files and CONFIG_FILE in manifest.files:
        encoder = load_encoder(folder).requires_grad_(False)
    compute, vectors = _choose(folder, manifest, encoder, threads)
    return OpenedModel(
        compute=compute,
        vectors=vectors,
        encoder=encoder,
        tokenizer=open_tokenizer((folder / TOKENIZER_FILE).read_bytes()),
        rendering=Rendering.from_json(manifest.rendering),
        max_tokens=manifest.max_tokens,
    )


def encode_rows(compute: Compute, texts: Sequence[np.ndarray]) -> np.ndarray:
    """Unit vectors (B, D) float32 of token ids, in calls of equal length."""
    found: list[np.ndarray | None] = [None] * len(texts)
    for batch in plan_batches(np.asarray([len(ids_L) for ids_L in texts])):
        vectors_BD = compute(np.stack([texts[row] for row in batch.rows]))
        for row, vector_D in zip(batch.rows, vectors_BD, strict=True):
            found[row] = vector_D
    return np.stack([vector_D for vector_D in found if vector_D is not None])


def _choose(folder: Path, manifest: BundleManifest, encoder: TextEncoder | None, threads: int) -> tuple[Compute, str]:
    precisions: tuple[Precision, ...] = ("int8", "fp32")
    for precision in precisions:
        if any(name in manifest.files for name in EXECUTOR_GRAPHS[precision]):
            session = open_session(read_model(folder, manifest, precision).graph, threads)
            return _by_graph(session), f"the {precision} graph that executors run"
    if encoder is None:
        raise ConfigurationError(
            f"bundle {manifest.id} has neither {WEIGHTS_FILE} nor an ONNX graph", next_step="make the bundle again"
        )
    return _by_weights(encoder), "the weights, in fp32: this bundle has no ONNX graph"


def _by_graph(session: InferenceSession) -> Compute:
    return lambda ids_BL: run_graph(session, ids_BL, np.ones_like(ids_BL))


def _by_weights(encoder: TextEncoder) -> Compute:
    @torch.inference_mode()
    def compute(ids_BL: np.ndarray) -> np.ndarray:
        ids = torch.from_numpy(ids_BL)
        vectors_BD: np.ndarray = encoder.vectors(ids, torch.ones_like(ids)).numpy()
        return vectors_BD

    return compute
