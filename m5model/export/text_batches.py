"""Texts of a training set as the model calls that executors would make of them: for calibration and for the gate.

Tensor suffixes: B rows, L tokens.
"""

from dataclasses import dataclass

import numpy as np

from m5model.data.token_rows import TokenRows
from m5model.export.fp32 import INPUTS
from m5model.runtime.batching import plan_batches

# Ranges and similarities do not change with more, and twelve layers take a second for 2,000 tokens.
TOKENS = 24_576


@dataclass(frozen=True)
class TextBatch:
    """One model call."""

    ids_BL: np.ndarray  # int64
    mask_BL: np.ndarray  # int64

    def feed(self) -> dict[str, np.ndarray]:
        return dict(zip(INPUTS, (self.ids_BL, self.mask_BL), strict=True))


def runtime_batches(rows: TokenRows, max_tokens: int, at_most: int) -> list[TextBatch]:
    """The first ``at_most`` rows in the order of their keys, batched just as executors do it; fewer where they are long."""
    chosen = np.argsort(rows.keys, kind="stable")[:at_most]
    lengths = np.minimum(rows.lengths[chosen], max_tokens)
    enough = max(1, int(np.searchsorted(np.cumsum(lengths), TOKENS, side="right")))
    chosen, lengths = chosen[:enough], lengths[:enough]
    return [TextBatch(*rows.padded(chosen[batch.rows])) for batch in plan_batches(lengths)]
