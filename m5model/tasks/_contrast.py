"""Contrastive loss over a batch of texts: what belongs together against all else in the batch.

Tensor suffixes: N texts that look for their own kind, M texts among which they look.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from schemas.checks import is_number, is_whole

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


def batch_rules(batch_rows: int, temperature: float) -> Mapping[str, bool]:
    """Message → does it hold: the rules for settings that every task on whole batches has."""
    return {
        f"batch_rows is {batch_rows}, expected 2 or more": is_whole(batch_rows, 2),
        f"temperature is {temperature}, expected above 0 and at most 1": is_number(temperature, 0, 1) and temperature > 0,
    }


def cut_rules(max_tokens: int) -> Mapping[str, bool]:
    """Message → does it hold: the rule for the length at which texts are cut while a task learns."""
    return {f"max_tokens is {max_tokens}, expected 0 or 8 or more": max_tokens == 0 or is_whole(max_tokens, 8)}
