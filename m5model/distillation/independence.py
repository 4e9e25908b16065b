"""Does a text get the same bytes alone as in any call? Measured on the graph that executors run, over held-out texts.

Every text is computed alone, beside one other text, and at a drawn place of a full call. Its companions are other texts,
repeated or cut to its length, for a call holds texts of one length. Tensor suffixes: B rows, L tokens, D dimensions.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from m5model.data.randomness import generator_for
from m5model.data.token_rows import TokenRows
from m5model.distillation.student_graph import executor_graph
from m5model.distillation.thresholds import Batches
from m5model.distillation.verdicts import Verdict, judged
from m5model.export.parity import count_differing
from m5model.runtime.batching import rows_of_a_call
from m5model.runtime.encoder import open_session, run_graph

TEXTS = 96


def judge_independence(folder: Path, held_out: TokenRows, thresholds: Batches) -> Verdict:
    """``batch_vectors_differing``: how many texts get other bytes in some call than alone."""
    chosen = np.argsort(held_out.keys, kind="stable")[:TEXTS]
    texts = held_out.dataset[[int(row) for row in chosen]]["ids"]
    differing = count_dependent(folder, texts)
    where = f"{len(texts):,} held-out texts, alone, beside one other, and in full calls"
    setting = "batches.max_vectors_differing"
    return judged("batch_vectors_differing", differing, "at most", thresholds.max_vectors_differing, where, setting)


def count_dependent(folder: Path, token_ids: Sequence[Sequence[int]]) -> int:
    """Texts whose vector is not the same in all three kinds of call."""
    session = open_session(executor_graph(folder))
    differs = np.zeros(len(token_ids), bool)
    for row, ids in enumerate(token_ids):
        alone_1D = _run(session, [ids])
        for size in sorted({2, max(2, rows_of_a_call(len(ids)))}):
            draw = generator_for("companions", row, size)
            call, place = _companions(token_ids, row, size, draw), int(draw.integers(size))
            call.insert(place, ids)
            differs[row] |= count_differing(alone_1D, _run(session, call)[place : place + 1]) > 0
    return int(differs.sum())


def _companions(token_ids: Sequence[Sequence[int]], row: int, size: int, draw: np.random.Generator) -> list[Sequence[int]]:
    """``size - 1`` other texts as long as text ``row``."""
    others = draw.integers(0, len(token_ids), size - 1)
    return [np.resize(np.asarray(token_ids[other]), len(token_ids[row])).tolist() for other in others]


def _run(session: object, call: list[Sequence[int]]) -> np.ndarray:
    ids_BL = np.asarray(call, np.int64)
    return run_graph(session, ids_BL, np.ones_like(ids_BL))  # type: ignore[arg-type]
