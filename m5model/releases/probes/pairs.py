"""Pairs: the cosine of both vectors; a threshold on the split validate says which are matches."""

from dataclasses import replace

import numpy as np

from m5model.partners.data import PartnerData
from m5model.partners.evaluation.metrics.binary import best_threshold
from m5model.partners.evaluation.scored import Scored, pair_with_truth
from m5model.partners.vectors import Vectors
from m5model.releases.reading import Reading

METRICS = ("pr_auc",)
CONSUMED = "f1"


def probe(data: PartnerData, reading: Reading) -> Scored:
    learned = _score(data, data.rows_of("validate"), reading.learned)
    threshold = best_threshold(learned) if learned.targets.any() else None
    return replace(_score(data, data.rows_of("test"), reading.read), threshold=threshold)


def _score(data: PartnerData, rows: np.ndarray, vectors: Vectors) -> Scored:
    chosen = data.select(rows)
    left_BD, right_BD = (vectors.of(chosen.texts(side)) for side in ("left_", "right_"))
    return pair_with_truth(data, rows, (left_BD * right_BD).sum(axis=1))
