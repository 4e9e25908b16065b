"""Finds outlier channels: those whose largest magnitude is six times that of the median channel, or more.

In 8 bits one scale holds for all channels of an activation, so one channel of 50 leaves few of the 256 codes to those of 0.5
(Dettmers et al. 2022; they call 6 and more an outlier where the others are near 1). See m5model.export.outliers for the remedy.
"""

import numpy as np

from m5model.reports.model.facts import Outlier

RATIO = 6.0


def find_outliers(largest_C: np.ndarray) -> list[Outlier]:
    """The outliers of channels (C,) by their largest magnitudes, the largest first."""
    middle = float(np.median(largest_C)) if largest_C.size else 0.0
    if not middle:
        return []
    ratios_C = largest_C / middle
    found = np.flatnonzero(ratios_C >= RATIO)
    order = found[np.argsort(-ratios_C[found], kind="stable")]
    return [Outlier(channel=int(c), largest=float(largest_C[c]), ratio=float(ratios_C[c])) for c in order]
