"""Vectors of many tokenised texts, for teachers whose vectors are kept and for metrics on held-out texts.

Tensor suffixes: B rows, D dimensions.
"""

import numpy as np
import torch
from torch import Tensor

from m5model.data.token_rows import TokenRows
from m5model.encoders.device import mixed_precision
from m5model.encoders.encoder import TextEncoder, sentence_vectors

CALL_TOKENS = 4_096  # of a call, padding included


@torch.inference_mode()
def encode_all(encoder: TextEncoder, rows: TokenRows, chosen: np.ndarray) -> np.ndarray:
    """Unit vectors (B, D) float32 of the rows ``chosen`` (B,), in their order. Texts of like length share a call."""
    encoder.eval()
    vectors_BD = np.empty((len(chosen), encoder.hidden_size), np.float32)
    order = np.argsort(rows.lengths[chosen], kind="stable")
    for call in _calls(rows.lengths[chosen][order]):
        vectors_BD[order[call]] = _encode(encoder, rows, chosen[order[call]]).cpu().numpy()
    return vectors_BD


def _calls(lengths: np.ndarray) -> list[slice]:
    """Slices of ascending lengths, each of as many texts as fit a call; one at least."""
    calls, start = [], 0
    while start < len(lengths):
        padded = np.arange(1, len(lengths) - start + 1) * lengths[start:]
        calls.append(slice(start, start + max(1, int(np.searchsorted(padded, CALL_TOKENS, side="right")))))
        start = calls[-1].stop
    return calls


def _encode(encoder: TextEncoder, rows: TokenRows, batch: np.ndarray) -> Tensor:
    ids_BL, mask_BL = (torch.from_numpy(array).to(encoder.device) for array in rows.padded(batch))
    with mixed_precision(encoder.device):
        return sentence_vectors(encoder, ids_BL, mask_BL)
