"""Hard negatives: of each text, those that lie nearest to it by the vectors that the encoder has when a stage begins.

Tensor suffixes: N texts that look for others, M texts among which they look, D hidden size.
"""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor

from m5model.encoders.encoder import TextEncoder, without_dropout
from m5model.tasks._texts import TextPool, encode_all

# Cosines are computed for this many of the N texts at once.
MINING_ROWS = 1_024
EXCLUDED = -2.0  # below every cosine

# The first and the last + 1 of some of the N texts → bool (them, M): which others may not be found.
ExcludedOf = Callable[[int, int], np.ndarray]


def vectors_now(encoder: TextEncoder, pool: TextPool, texts: np.ndarray) -> Tensor:
    """Unit vectors (N, D) of these places of the pool, without dropout; the encoder is left as it was."""
    with without_dropout(encoder):
        return encode_all(encoder, pool, texts)


def find_nearest(texts_ND: Tensor, others_MD: Tensor, excluded_of: ExcludedOf, count: int) -> Iterator[np.ndarray]:
    """Finds, of each text, places (int64) of the ``count`` nearest others that are not excluded; fewer where there are."""
    for start in range(0, len(texts_ND), MINING_ROWS):
        stop = min(start + MINING_ROWS, len(texts_ND))
        cosines_NM = texts_ND[start:stop] @ others_MD.T
        cosines_NM[torch.from_numpy(excluded_of(start, stop)).to(cosines_NM.device)] = EXCLUDED
        best = cosines_NM.topk(min(count, len(others_MD)), dim=1)
        for places, cosines in zip(best.indices.cpu().numpy(), best.values.cpu().numpy(), strict=True):
            yield places[cosines > EXCLUDED]
