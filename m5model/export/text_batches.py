"""Texts of a training set as the model calls that executors would make of them: for calibration and for the gate.

Tensor suffixes: B rows, L tokens.
"""

from dataclasses import dataclass

import numpy as np
from onnxruntime import InferenceSession

from m5model.export.fp32 import INPUTS, OUTPUT
from m5model.runtime.batching import plan_batches
from m5model.training.batches import TokenRows


@dataclass(frozen=True)
class TextBatch:
    """One model call."""

    ids_BL: np.ndarray  # int64
    mask_BL: np.ndarray  # int64

    def feed(self) -> dict[str, np.ndarray]:
        return dict(zip(INPUTS, (self.ids_BL, self.mask_BL), strict=True))


def run_batch(session: InferenceSession, batch: TextBatch) -> np.ndarray:
    """Vectors (B, D) float32 of one call; a graph that takes no mask gets none."""
    inputs = {entry.name for entry in session.get_inputs()}
    return session.run([OUTPUT], {name: values for name, values in batch.feed().items() if name in inputs})[0]


def runtime_batches(rows: TokenRows, max_tokens: int, at_most: int) -> list[TextBatch]:
    """The first ``at_most`` rows in the order of their keys, batched just as executors do it."""
    chosen = np.argsort(rows.keys, kind="stable")[:at_most]
    lengths = np.minimum(rows.lengths[chosen], max_tokens)
    return [TextBatch(*rows.padded(chosen[batch.rows])) for batch in plan_batches(lengths)]
