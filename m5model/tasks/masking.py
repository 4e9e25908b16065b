"""Which tokens a masked language model must guess. Source: Devlin et al. 2019 (15%; of these 80% mask, 10% random, 10% kept).

Tensor suffixes: B rows, L tokens.
"""

from dataclasses import dataclass

import numpy as np

from m5model.data.vocabulary import MASK_ID, SPECIAL_TOKENS

MASKED_SHARE = 0.8
RANDOM_SHARE = 0.1


@dataclass(frozen=True)
class MaskedTokens:
    """Input with holes, and where they are."""

    ids_BL: np.ndarray  # int64
    chosen_BL: np.ndarray  # bool: must be guessed


def mask_tokens(ids_BL: np.ndarray, vocabulary_size: int, share: float, generator: np.random.Generator) -> MaskedTokens:
    """Choose ``share`` of the tokens that are not special (at least one of the batch, where there is any) and hide them."""
    maskable_BL = ids_BL >= len(SPECIAL_TOKENS)
    chosen_BL = (generator.random(ids_BL.shape) < share) & maskable_BL
    if not chosen_BL.any() and maskable_BL.any():
        chosen_BL.flat[np.flatnonzero(maskable_BL)[0]] = True
    fate_BL = generator.random(ids_BL.shape)
    random_BL = generator.integers(len(SPECIAL_TOKENS), vocabulary_size, ids_BL.shape)
    hidden_BL = np.where(chosen_BL & (fate_BL < MASKED_SHARE), MASK_ID, ids_BL)
    is_random_BL = chosen_BL & (fate_BL >= MASKED_SHARE) & (fate_BL < MASKED_SHARE + RANDOM_SHARE)
    return MaskedTokens(np.where(is_random_BL, random_BL, hidden_BL), chosen_BL)
