"""Texts to vectors with one onnxruntime session. A vector depends on its text alone, never on its neighbours in a batch.

That holds because int8 scales are static, every text is padded to its own place on a fixed grid, and a model is never
called with a single row (a lone text is computed beside a copy of itself). Tensor suffixes: B rows, L tokens, D dimensions.
"""

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from tokenizers import Tokenizer

from m5model.rendering import Rendering, render
from m5model.runtime.batching import DEFAULT_TOKEN_BUDGET, Batch, plan_batches
from m5model.runtime.grid import padded_lengths
from schemas.bundle import ONNX_FILES, TOKENIZER_FILE, BundleManifest, Precision
from schemas.errors import ConfigurationError

# Rows that are tokenised and held at a time: 8,192 x 768 x 4 B is 25 MB of vectors.
CHUNK_ROWS = 8_192


@dataclass(frozen=True, kw_only=True)
class ModelBytes:
    """Everything an executor needs, small enough to broadcast."""

    graph: bytes  # ONNX
    tokenizer: bytes  # tokenizer.json
    max_tokens: int
    hidden_size: int
    space_id: str


@dataclass(frozen=True, kw_only=True)
class Encoded:
    """Vectors and what they cost."""

    vectors_BD: np.ndarray  # float32, unit length
    token_counts: np.ndarray  # (B,) int64, special tokens included, after truncation
    truncated: np.ndarray  # (B,) bool
    computed_tokens: np.ndarray  # (B,) int64, padding and the copy beside a lone row included


def read_model(folder: Path, manifest: BundleManifest, precision: Precision) -> ModelBytes:
    """The files of an opened bundle that executors need."""
    graph = folder / ONNX_FILES[precision]
    if not graph.is_file():
        raise ConfigurationError(
            f"bundle {manifest.id} ({manifest.kind}) has no {precision} ONNX graph",
            next_step="distil it into a student with jobs/distill_student.py",
        )
    return ModelBytes(
        graph=graph.read_bytes(),
        tokenizer=(folder / TOKENIZER_FILE).read_bytes(),
        max_tokens=manifest.max_tokens,
        hidden_size=manifest.hidden_size,
        space_id=manifest.space_id if precision == "int8" else manifest.space_id_fp32,
    )


class Encoder:
    """One session, used by ``threads`` threads at once (onnxruntime lets go of the interpreter lock while it computes)."""

    def __init__(
        self, model: ModelBytes, rendering: Rendering, *, threads: int = 1, token_budget: int = DEFAULT_TOKEN_BUDGET
    ) -> None:
        self.space_id = model.space_id
        self.dimensions = model.hidden_size
        self.max_tokens = model.max_tokens
        self._rendering = rendering
        self._token_budget = token_budget
        self._tokenizer = Tokenizer.from_buffer(model.tokenizer)
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self._session = open_session(model.graph)
        self._threads = ThreadPoolExecutor(max_workers=threads, thread_name_prefix="m5-encode")

    def encode(self, listings: Iterable[Mapping[str, Any] | str]) -> np.ndarray:
        """Unit vectors of listings (mappings with at least a title) or plain strings: float32 (n, d), in their order."""
        return self.encode_texts([render(listing, self._rendering) for listing in listings]).vectors_BD

    def encode_texts(self, texts: list[str]) -> Encoded:
        """Encode rendered texts, in chunks so that memory stays flat."""
        chunks = [self._encode_chunk(texts[start : start + CHUNK_ROWS]) for start in range(0, len(texts), CHUNK_ROWS)]
        if not chunks:
            return Encoded(
                vectors_BD=np.empty((0, self.dimensions), np.float32),
                token_counts=np.empty(0, np.int64),
                truncated=np.empty(0, bool),
                computed_tokens=np.empty(0, np.int64),
            )
        return Encoded(
            vectors_BD=np.concatenate([chunk.vectors_BD for chunk in chunks]),
            token_counts=np.concatenate([chunk.token_counts for chunk in chunks]),
            truncated=np.concatenate([chunk.truncated for chunk in chunks]),
            computed_tokens=np.concatenate([chunk.computed_tokens for chunk in chunks]),
        )

    def _encode_chunk(self, texts: list[str]) -> Encoded:
        token_ids = [encoding.ids for encoding in self._tokenizer.encode_batch_fast(texts)]
        full_counts = np.fromiter((len(ids) for ids in token_ids), np.int64, len(token_ids))
        counts = np.minimum(full_counts, self.max_tokens)
        padded = padded_lengths(counts, self.max_tokens)
        batches = plan_batches(padded, self._token_budget)
        computed = padded.copy()
        computed[[batch.rows[0] for batch in batches if len(batch.rows) == 1]] *= 2
        vectors_BD = np.empty((len(texts), self.dimensions), np.float32)

        def run(batch: Batch) -> None:
            vectors_BD[batch.rows] = self._run_batch(batch, token_ids, counts)

        list(self._threads.map(run, batches))
        return Encoded(
            vectors_BD=vectors_BD, token_counts=counts, truncated=full_counts > self.max_tokens, computed_tokens=computed
        )

    def _run_batch(self, batch: Batch, token_ids: list[list[int]], counts: np.ndarray) -> np.ndarray:
        rows = batch.rows if len(batch.rows) > 1 else np.repeat(batch.rows, 2)  # one row alone would get other bytes
        ids_BL = np.zeros((len(rows), batch.padded_length), np.int64)
        for i, row in enumerate(rows):
            ids_BL[i, : counts[row]] = _truncate(token_ids[row], self.max_tokens)
        mask_BL = (np.arange(batch.padded_length) < counts[rows, None]).astype(np.int64)
        vectors_BD = self._session.run(["sentence_embedding"], {"input_ids": ids_BL, "attention_mask": mask_BL})[0]
        return vectors_BD[: len(batch.rows)]


def open_session(graph: bytes, threads: int = 1) -> onnxruntime.InferenceSession:
    """A CPU session whose calls use ``threads`` threads each and never spin while they wait."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


def _truncate(ids: list[int], max_tokens: int) -> list[int]:
    """Keep the closing special token, as Hugging Face tokenizers do when they truncate."""
    return ids if len(ids) <= max_tokens else [*ids[: max_tokens - 1], ids[-1]]
