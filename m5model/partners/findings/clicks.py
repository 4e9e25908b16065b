"""Of clicks: how far are probabilities from what was clicked, bin by bin? Kept as a table beside the report's picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from m5model.partners.data import PartnerData
from m5model.partners.evaluation.metrics.binary import BINS
from m5model.partners.evaluation.scored import Scored
from m5model.partners.finding import Findings
from m5model.partners.vectors import Vectors

if TYPE_CHECKING:
    from m5model.partners.experiment import Judged


def find(data: PartnerData, vectors: Vectors | None, judged: Judged) -> Findings:
    """The table ``reliability`` of the split test; none where probabilities could not be calibrated."""
    return Findings() if judged.calibrated is None else Findings(tables={"reliability": reliability(judged.calibrated)})


def reliability(scored: Scored) -> pa.Table:
    """Bins of equally many rows, by probability: rows, impressions, mean probability, and the share that was clicked."""
    parts = [part for part in np.array_split(np.argsort(scored.scores, kind="stable"), BINS) if len(part)]
    both = [(part, scored.weights[part]) for part in parts]
    return pa.table(
        {
            "rows": [len(part) for part in parts],
            "impressions": [float(weights.sum()) for _, weights in both],
            "probability": [float(np.average(scored.scores[part], weights=weights)) for part, weights in both],
            "clicked": [float(np.average(scored.targets[part], weights=weights)) for part, weights in both],
        }
    )
