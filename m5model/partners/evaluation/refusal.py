"""A threshold below which an answer is refused, with a promise: of rows with a known class, at most a stated share is refused.

Split conformal: the threshold is an order statistic of confidences of known rows that nothing was learned from. The promise
holds for rows drawn as those were, over draws of both. Sources: Vovk, Gammerman and Shafer (2005), Algorithmic Learning in a
Random World; Bates et al. (2023), Testing for outliers with conformal p-values.
"""

import numpy as np

from schemas.checks import is_number, require


def refusal_threshold(confidences: np.ndarray, error_share: float) -> float:
    """Answers of less confidence are refused. ``confidences`` (n,) are of known rows; -inf where they are too few."""
    require("refusal", {f"error_share is {error_share!r}, expected 0 to 1": is_number(error_share, 0, 1)})
    rank = int(np.floor(error_share * (len(confidences) + 1)))
    if rank < 1:
        return float("-inf")
    # A new row lies below the rank-th least of n with probability rank / (n + 1), and no more where there are ties.
    return float(np.sort(confidences)[min(rank, len(confidences)) - 1])
