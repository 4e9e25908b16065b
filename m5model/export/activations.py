"""Observes what flows into a graph's products: the range of every channel, second moments, and some of the values.

Tensor suffixes: N tokens of all texts, C channels.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import helper

from m5model.export.text_batches import TextBatch
from m5model.runtime.encoder import open_session

# Tokens whose values are kept: enough to estimate a product's error.
KEPT_TOKENS = 512


@dataclass(frozen=True, kw_only=True)
class Activation:
    """One tensor, seen over all calibration texts."""

    low_C: np.ndarray  # float32
    high_C: np.ndarray  # float32
    moments_CC: np.ndarray  # float32, sums of products of two channels
    sample_NC: np.ndarray  # float32, values of some tokens

    @property
    def largest_C(self) -> np.ndarray:
        """The largest magnitude of each channel, float32."""
        return np.maximum(np.abs(self.low_C), np.abs(self.high_C))

    def divided(self, scales_C: np.ndarray) -> "Activation":
        """Returns what the tensor would hold with its channels divided by these scales, all above 0."""
        return Activation(
            low_C=self.low_C / scales_C,
            high_C=self.high_C / scales_C,
            moments_CC=self.moments_CC / scales_C / scales_C[:, None],
            sample_NC=self.sample_NC / scales_C,
        )


def observe(model: onnx.ModelProto, tensors: Sequence[str], batches: Sequence[TextBatch]) -> dict[str, Activation]:
    """Tensor → what it held. The tensors are (B, L, C) float32 values of the graph."""
    watched = onnx.ModelProto()
    watched.CopyFrom(model)
    watched.graph.output.extend(helper.make_empty_tensor_value_info(name) for name in tensors)
    session = open_session(watched.SerializeToString())
    every = max(1, sum(int(batch.mask_BL.sum()) for batch in batches) // KEPT_TOKENS)
    seen: dict[str, list[Activation]] = {name: [] for name in tensors}
    for batch in batches:
        real = batch.mask_BL.astype(bool)
        for name, values_BLC in zip(tensors, session.run(list(tensors), batch.feed()), strict=True):
            values_NC = values_BLC[real]
            so_far = seen[name]
            so_far[:] = [_together([*so_far, _of_call(values_NC, every)])]
    return {name: parts[0] for name, parts in seen.items()}


def _of_call(values_NC: np.ndarray, every: int) -> Activation:
    return Activation(
        low_C=values_NC.min(axis=0),
        high_C=values_NC.max(axis=0),
        moments_CC=values_NC.T @ values_NC,
        sample_NC=values_NC[::every].copy(),
    )


def _together(parts: Sequence[Activation]) -> Activation:
    return Activation(
        low_C=np.min([part.low_C for part in parts], axis=0),
        high_C=np.max([part.high_C for part in parts], axis=0),
        moments_CC=np.sum([part.moments_CC for part in parts], axis=0),
        sample_NC=np.concatenate([part.sample_NC for part in parts]),
    )
