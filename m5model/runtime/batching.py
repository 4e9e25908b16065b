"""Which rows go into one model call: equal padded length, as many as a token budget allows."""

from dataclasses import dataclass

import numpy as np

# 256 to 1,024 tokens a call is the plateau of throughput (lessons: measured); more only costs memory.
DEFAULT_TOKEN_BUDGET = 1_024


@dataclass(frozen=True)
class Batch:
    """Rows of one call."""

    rows: np.ndarray  # (b,) int64: positions in the input
    padded_length: int  # tokens


def plan_batches(padded: np.ndarray, token_budget: int = DEFAULT_TOKEN_BUDGET) -> list[Batch]:
    """Group rows of equal padded length, longest first so that no long call is left for the end.

    padded (n,) int64. Every row is in exactly one batch; a batch holds at most ``token_budget`` tokens, and at least one row.
    """
    order = np.argsort(-padded, kind="stable")
    boundaries = np.flatnonzero(np.diff(padded[order])) + 1
    batches: list[Batch] = []
    for rows in np.split(order, boundaries):
        if not len(rows):
            continue
        length = int(padded[rows[0]])
        size = max(1, token_budget // length)
        batches.extend(Batch(rows[start : start + size], length) for start in range(0, len(rows), size))
    return batches
