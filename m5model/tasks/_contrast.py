"""Contrastive loss over a batch of texts: what belongs together against all else in the batch.

Tensor suffixes: N texts that look for their own kind, M texts among which they look.
"""

import torch
from torch import Tensor

MASKED = -1e4  # of a logit that does not count; finite in bfloat16, too


def contrastive_loss(logits_NM: Tensor, positive_NM: Tensor, allowed_NM: Tensor) -> Tensor:
    """Mean over texts, and over the positives of each, of -log softmax among the allowed ones (Khosla et al. 2020, L_out).

    ``logits`` float, ``positive`` and ``allowed`` bool, all (N, M); positives must be allowed. Texts without a positive do not
    count. With one positive a row this is InfoNCE (van den Oord et al. 2018).
    """
    logs_NM = torch.log_softmax(logits_NM.float().masked_fill(~allowed_NM, MASKED), dim=1)
    counts_N = positive_NM.sum(1)
    means_N = -(logs_NM * positive_NM).sum(1) / counts_N.clamp(min=1)
    has_any_N = counts_N > 0
    return (means_N * has_any_N).sum() / has_any_N.sum().clamp(min=1)
