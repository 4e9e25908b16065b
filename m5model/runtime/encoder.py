"""Texts to vectors with one onnxruntime session. A vector depends on its text alone, never on its neighbours in a batch.

That holds because int8 scales are static, the graph pools by a product of matrices (m5model.encoders.bert.pool), and every
call holds texts of one length, so that nothing is padded. Tensor suffixes: B rows, L tokens, D dimensions.
"""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors

from m5model.runtime.batching import DEFAULT_TOKEN_BUDGET, Batch, plan_batches
from m5model.runtime.forks import ForkGate
from m5model.runtime.inputs import iterate_rows
from m5model.runtime.rendering import Rendering, render
from m5model.runtime.tokens import TokenizedTexts, open_tokenizer, token_ids, tokenize
from schemas.bundle import EXECUTOR_GRAPHS, TOKENIZER_FILE, BundleManifest, Precision
from schemas.checks import is_whole, require
from schemas.errors import ConfigurationError, ModelInputError
from schemas.space import ComparableSpaces, SameSpace

# Rows that are tokenised and held at a time: 8,192 x 768 x 4 B is 25 MB of vectors.
CHUNK_ROWS = 8_192

# Reasons why a text gets no vector, see schemas.embedding.
MODEL_FAILED = "model_failed"
NOT_FINITE = "not_finite"
MESSAGE_CHARACTERS = 300

# onnxruntime's fused kernels of these are slower than their parts: 197 ms a call with them, 166 ms without (student-70m,
# 26 x 39 tokens). They round differently, so leaving them out is part of m5model.runtime.RUNTIME.
SLOW_FUSIONS = ("SkipLayerNormFusion", "BiasGeluFusion")

# onnxruntime's errors share no base class; these are the ones that a call can end with.
MODEL_ERRORS = (ort_errors.Fail, ort_errors.InvalidArgument, ort_errors.RuntimeException, ort_errors.EPFail)

_GATE = ForkGate()


@dataclass(frozen=True, kw_only=True)
class ModelBytes:
    """Everything an executor needs, small enough to broadcast."""

    graph: bytes  # ONNX
    tokenizer: bytes  # tokenizer.json
    max_tokens: int
    hidden_size: int
    space_id: str
    rendering: Rendering  # of listings, which become the texts of this space
    same_space: tuple[SameSpace, ...] = ()  # other spaces that its vectors may be compared with


@dataclass(frozen=True, kw_only=True)
class Encoded:
    """Vectors and what they cost."""

    vectors_BD: np.ndarray  # float32, unit length
    token_counts: np.ndarray  # (B,) int64, special tokens included, after truncation
    truncated: np.ndarray  # (B,) bool
    computed_tokens: np.ndarray  # (B,) int64, padding included
    failures: Mapping[int, str]  # row → what the model said of its text; its vector is zeros


def read_model(folder: Path, manifest: BundleManifest, precision: Precision) -> ModelBytes:
    """The files of an opened bundle that executors need. Raises ConfigurationError for a precision that it lacks."""
    require("the model", {f"precision is {precision!r}, expected {' or '.join(EXECUTOR_GRAPHS)}": precision in EXECUTOR_GRAPHS})
    graph = next((name for name in EXECUTOR_GRAPHS[precision] if name in manifest.files), None)
    if graph is None:
        raise ConfigurationError(
            f"bundle {manifest.id} ({manifest.kind}) has no {precision} ONNX graph",
            next_step="distil it into a student with jobs/distill_student.py",
        )
    return ModelBytes(
        graph=(folder / graph).read_bytes(),
        tokenizer=(folder / TOKENIZER_FILE).read_bytes(),
        max_tokens=manifest.max_tokens,
        hidden_size=manifest.hidden_size,
        space_id=manifest.space_id if precision == "int8" else manifest.space_id_fp32,
        rendering=Rendering.from_json(manifest.rendering),
        same_space=manifest.same_space if precision == "int8" else (),  # the evidence is of int8 vectors
    )


def require_comparable(model: ModelBytes, *space_ids: str) -> None:
    """Raise SpaceMismatchError where the model's vectors may not be compared with those of one of these spaces."""
    known = ComparableSpaces.of([(model.space_id, model.same_space)])
    for space_id in space_ids:
        known.require_one((model.space_id, space_id))


class Encoder:
    """One session, used by ``threads`` threads at once (onnxruntime lets go of the interpreter lock while it computes).

    It may be used from several threads, after a fork, and where a pickle of it was sent. Raises ConfigurationError for fewer
    than one thread or token.
    """

    def __init__(self, model: ModelBytes, *, threads: int = 1, token_budget: int = DEFAULT_TOKEN_BUDGET) -> None:
        numbers = {"threads": threads, "token_budget": token_budget}
        require("the encoder", {f"{name} is {one!r}, expected 1 or more": is_whole(one, 1) for name, one in numbers.items()})
        self.space_id = model.space_id
        self.same_space = model.same_space
        self.dimensions = model.hidden_size
        self.max_tokens = model.max_tokens
        self.rendering = model.rendering
        self._model = model
        self._token_budget = token_budget
        self._tokenizer = open_tokenizer(model.tokenizer)
        self.vocabulary_size = self._tokenizer.get_vocab_size()
        self._session = open_session(model.graph)
        self._threads = threads
        self._pools: dict[int, ThreadPoolExecutor] = {}  # by process: a fork has none of its parent's threads

    def __reduce__(self) -> tuple[Callable[[ModelBytes], "Encoder"], tuple[ModelBytes]]:
        return partial(Encoder, threads=self._threads, token_budget=self._token_budget), (self._model,)

    def encode(self, listings: Iterable[Mapping[str, Any] | str]) -> np.ndarray:
        """Unit vectors of listings (mappings with at least a title) or plain strings: float32 (n, d), in their order.

        Takes lists and iterators of them, data frames and Arrow tables. Raises ModelInputError, naming the row, where one has
        nothing that can be encoded or the model fails on it.
        """
        encoded = self.encode_texts(list(self._render(listings)))
        for row, reason in encoded.failures.items():
            raise ModelInputError(f"row {row}: the model fails on it: {reason}", next_step="leave it out, or shorten it")
        return encoded.vectors_BD

    def require_comparable(self, *space_ids: str) -> None:
        """Raise SpaceMismatchError where its vectors may not be compared with those of one of these spaces."""
        require_comparable(self._model, *space_ids)

    def _render(self, listings: object) -> Iterator[str]:
        for row, listing in enumerate(iterate_rows(listings)):
            try:
                yield render(listing, self.rendering)
            except ModelInputError as error:
                raise ModelInputError(f"row {row}: {error.message}", next_step=error.next_step) from error

    def encode_texts(self, texts: list[str]) -> Encoded:
        """Encode rendered texts, in chunks so that memory stays flat. A text that fails costs no other its vector."""
        chunks = (texts[start : start + CHUNK_ROWS] for start in range(0, len(texts), CHUNK_ROWS))
        return _join(list(self.encode_stream(chunks)), self.dimensions)

    def encode_stream(self, chunks: Iterable[list[str]]) -> Iterator[Encoded]:
        """Encode lists of texts, each as one. The next one is tokenised and queued before this one is waited for, so that
        no thread is idle between them."""
        queued: deque[Callable[[], Encoded]] = deque()
        for chunk in chunks:
            queued.append(self._start(chunk))
            if len(queued) > 1:
                yield queued.popleft()()
        while queued:
            yield queued.popleft()()

    def measure_lengths(self, texts: list[str]) -> tuple[float, float]:
        """Mean tokens of ``texts`` after truncation, and the share of them that is truncated. Nothing is encoded."""
        tokens = self.tokenize(texts)
        return float(tokens.counts_N.mean()), float(tokens.truncated_N.mean())

    def tokenize(self, texts: list[str]) -> TokenizedTexts:
        """Token ids of rendered texts, special tokens included."""
        return tokenize(self._tokenizer, texts, self.max_tokens)

    def token_ids(self, texts: list[str]) -> list[list[int]]:
        """The same, a list for each text, and nothing truncated: quicker for a few texts."""
        return token_ids(self._tokenizer, texts)

    def _start(self, texts: list[str]) -> Callable[[], Encoded]:
        """Queue the calls for these texts; the function returned waits for them."""
        tokens = self.tokenize(texts)
        counts_B = tokens.counts_N
        batches = plan_batches(counts_B, self._token_budget)
        vectors_BD = np.zeros((len(texts), self.dimensions), np.float32)
        computed_B = np.zeros_like(counts_B)
        failures: dict[int, str] = {}

        def run(batch: Batch) -> None:
            computed_B[batch.rows] = batch.length
            failures.update(self._run_batch(batch, tokens, vectors_BD))

        calls = self._pool().map(run, batches)

        def finish() -> Encoded:
            list(calls)
            return Encoded(
                vectors_BD=vectors_BD,
                token_counts=counts_B,
                truncated=tokens.truncated_N,
                computed_tokens=computed_B,
                failures=dict(sorted(failures.items())),
            )

        return finish

    def _pool(self) -> ThreadPoolExecutor:
        """This process's threads, started with its first call."""
        process = os.getpid()
        if process not in self._pools:
            made = ThreadPoolExecutor(max_workers=self._threads, thread_name_prefix="m5-encode")
            self._pools.setdefault(process, made)  # another thread may have been first
        return self._pools[process]

    def _run_batch(self, batch: Batch, tokens: TokenizedTexts, vectors_BD: np.ndarray) -> dict[int, str]:
        """Fill in the vectors of a batch; returns failures by row."""
        found_BD, failures = self.encode_ids(tokens.cut_batch(batch.rows, batch.length))
        vectors_BD[batch.rows] = found_BD
        return {int(batch.rows[place]): reason for place, reason in failures.items()}

    def encode_ids(self, ids_BL: np.ndarray) -> tuple[np.ndarray, dict[int, str]]:
        """One call: vectors (B, D) float32 of rows of L token ids each (int64), and failures by row, whose vectors are zeros.

        Where the call fails, its rows are tried one by one.
        """
        try:
            with _GATE.call():
                vectors_BD = run_graph(self._session, ids_BL, np.ones_like(ids_BL))
        except MODEL_ERRORS as error:
            if len(ids_BL) == 1:
                reason = f"{MODEL_FAILED}: {str(error)[:MESSAGE_CHARACTERS]}"
                return np.zeros((1, self.dimensions), np.float32), {0: reason}
            alone = [self.encode_ids(ids_BL[row : row + 1]) for row in range(len(ids_BL))]
            failed = {row: failures[0] for row, (_, failures) in enumerate(alone) if failures}
            return np.concatenate([vectors_BD for vectors_BD, _ in alone]), failed
        finite_B = np.isfinite(vectors_BD).all(axis=1)
        vectors_BD[~finite_B] = 0
        return vectors_BD, {int(row): NOT_FINITE for row in np.flatnonzero(~finite_B)}


def _join(chunks: list[Encoded], dimensions: int) -> Encoded:
    if len(chunks) == 1:
        return chunks[0]
    starts = np.cumsum([0, *(len(chunk.token_counts) for chunk in chunks)])
    empty = np.empty(0, np.int64)
    return Encoded(
        vectors_BD=np.concatenate([np.empty((0, dimensions), np.float32), *(chunk.vectors_BD for chunk in chunks)]),
        token_counts=np.concatenate([empty, *(chunk.token_counts for chunk in chunks)]),
        truncated=np.concatenate([empty.astype(bool), *(chunk.truncated for chunk in chunks)]),
        computed_tokens=np.concatenate([empty, *(chunk.computed_tokens for chunk in chunks)]),
        failures={
            int(start) + row: reason
            for start, chunk in zip(starts, chunks, strict=False)
            for row, reason in chunk.failures.items()
        },
    )


@cache
def _prepare_process() -> None:
    """Let forks wait for calls, and make one arena for the process, which grows by what is asked for.

    By default it grows by powers of two: with two threads that was 80 MB more for student-70m, and no faster.
    """
    onnxruntime.disable_telemetry_events()  # m5model switches it off, but somebody may have imported onnxruntime before
    memory = onnxruntime.OrtMemoryInfo(
        "Cpu", onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, onnxruntime.OrtMemType.DEFAULT
    )
    as_requested = {"max_mem": 0, "arena_extend_strategy": 1, "initial_chunk_size_bytes": -1, "max_dead_bytes_per_chunk": -1}
    onnxruntime.create_and_register_allocator(memory, onnxruntime.OrtArenaCfg(as_requested))
    _GATE.register()


def run_graph(session: onnxruntime.InferenceSession, ids_BL: np.ndarray, mask_BL: np.ndarray) -> np.ndarray:
    """Vectors (B, D) float32 of one call, from int64 ids and mask; a graph that takes no mask gets none."""
    inputs = {"input_ids": ids_BL, "attention_mask": mask_BL}
    return session.run(["sentence_embedding"], {entry.name: inputs[entry.name] for entry in session.get_inputs()})[0]


def open_session(graph: bytes, threads: int = 1) -> onnxruntime.InferenceSession:
    """A CPU session whose calls use ``threads`` threads each and never spin while they wait."""
    _prepare_process()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.enable_mem_pattern = False  # a plan per shape: there are thousands of shapes
    options.add_session_config_entry("session.use_env_allocators", "1")
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(
        graph, options, providers=["CPUExecutionProvider"], disabled_optimizers=list(SLOW_FUSIONS)
    )
