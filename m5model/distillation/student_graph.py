"""The int8 graph of a student's checkpoint folder, run over tokenised texts as executors run it: texts of one length a call.

Tensor suffixes: B rows, D dimensions, L tokens.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from m5model.data.token_rows import pad_ids
from m5model.runtime.batching import plan_batches
from m5model.runtime.encoder import open_session, run_graph
from schemas.bundle import ONNX_ENGINE_FILE, ONNX_INT8_FILE


def graph_vectors(folder: Path, token_ids: Sequence[list[int]]) -> np.ndarray:
    """Unit vectors (B, D) float32 of the texts, in their order."""
    session = open_session((folder / ONNX_INT8_FILE).read_bytes())
    parts: list[np.ndarray] = []
    order: list[np.ndarray] = []
    for batch in plan_batches(np.asarray([len(ids) for ids in token_ids])):
        parts.append(run_graph(session, *pad_ids([token_ids[row] for row in batch.rows])))
        order.append(np.asarray(batch.rows))
    vectors_BD = np.empty((len(token_ids), parts[0].shape[1]), np.float32)
    vectors_BD[np.concatenate(order)] = np.concatenate(parts)
    return vectors_BD


def executor_graph(folder: Path) -> bytes:
    """The graph that executors run: the engine's own, where there is one."""
    engine = folder / ONNX_ENGINE_FILE
    return (engine if engine.is_file() else folder / ONNX_INT8_FILE).read_bytes()
