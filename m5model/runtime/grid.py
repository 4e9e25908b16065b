"""The grid of padded lengths: a text is always padded to the same length, so it always gets the same bytes.

Exact up to 32 tokens, then in steps of 1/16 of the length: on real listings (mean 39 tokens) padding stays near 2%.
"""

import numpy as np

GRID = "sixteenth-v1"


def grid_lengths(max_tokens: int) -> np.ndarray:
    """All padded lengths up to ``max_tokens``, ascending, int64."""
    lengths = [1]
    while lengths[-1] < max_tokens:
        lengths.append(min(lengths[-1] + max(1, lengths[-1] // 16), max_tokens))
    return np.asarray(lengths, dtype=np.int64)


def padded_lengths(token_counts: np.ndarray, max_tokens: int) -> np.ndarray:
    """Padded length of every text. token_counts (n,) int, each from 1 to max_tokens → (n,) int64."""
    grid = grid_lengths(max_tokens)
    return grid[np.searchsorted(grid, token_counts)]
