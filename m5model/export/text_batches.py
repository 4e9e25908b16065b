"""Texts of a training set as the model calls that executors would make of them: for calibration and for the gate.

Tensor suffixes: B rows, L tokens.
"""

from dataclasses import dataclass

import numpy as np

from m5model.export.fp32 import INPUTS
from m5model.runtime.batching import plan_batches
from m5model.runtime.grid import padded_lengths
from m5model.training.batches import TokenRows


@dataclass(frozen=True)
class TextBatch:
    """One model call. ``texts`` may be fewer than B: a lone text is computed beside a copy of itself."""

    ids_BL: np.ndarray  # int64, padded with 0
    mask_BL: np.ndarray  # int64
    texts: int

    def feed(self) -> dict[str, np.ndarray]:
        return dict(zip(INPUTS, (self.ids_BL, self.mask_BL), strict=True))


def runtime_batches(rows: TokenRows, max_tokens: int, at_most: int) -> list[TextBatch]:
    """The first ``at_most`` rows in the order of their keys, batched and padded just as executors do it."""
    chosen = np.argsort(rows.keys, kind="stable")[:at_most]
    batches = []
    for batch in plan_batches(padded_lengths(rows.lengths[chosen], max_tokens)):
        picked = chosen[batch.rows if len(batch.rows) > 1 else np.repeat(batch.rows, 2)]
        ids_BL, mask_BL = rows.padded(picked)
        missing = batch.padded_length - ids_BL.shape[1]
        padding = ((0, 0), (0, missing))
        batches.append(TextBatch(np.pad(ids_BL, padding), np.pad(mask_BL, padding), len(batch.rows)))
    return batches
