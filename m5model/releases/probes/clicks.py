"""Clicks: the click rate by ridge regression on the vector of what was shown, weighted by impressions.

Tensor suffixes: B rows, D dimensions.
"""

import numpy as np

from m5model.partners.click_columns import ad_texts
from m5model.partners.data import PartnerData
from m5model.partners.evaluation.scored import Scored, pair_with_truth
from m5model.releases.reading import Reading

METRICS = ("roc_auc",)
CONSUMED = "roc_auc"
# In units of the mean weight of a row: as much as thirty rows that say nothing.
PENALTY = 30.0


def probe(data: PartnerData, reading: Reading) -> Scored:
    learn, rows = data.select(data.rows_of("learn")), data.rows_of("test")
    shown = learn.column("impressions").astype(np.float64)
    rates = learn.column("clicks").astype(np.float64) / shown
    weights_D = fit_ridge(reading.learned.of(ad_texts(learn)).astype(np.float64), rates, shown)
    scores = reading.read.of(ad_texts(data.select(rows))).astype(np.float64) @ weights_D
    return pair_with_truth(data, rows, scores)


def fit_ridge(vectors_BD: np.ndarray, rates_B: np.ndarray, shown_B: np.ndarray) -> np.ndarray:
    """Weights (D,) of the vectors for what a rate is above the mean; a constant does not change a ranking.

    Source: Hoerl and Kennard, "Ridge regression", 1970.
    """
    share_B = shown_B / shown_B.mean()
    centred_BD = vectors_BD - np.average(vectors_BD, axis=0, weights=share_B)
    above_B = rates_B - np.average(rates_B, weights=share_B)
    gram_DD = (centred_BD * share_B[:, None]).T @ centred_BD + PENALTY * np.eye(vectors_BD.shape[1]) / vectors_BD.shape[1]
    return np.asarray(np.linalg.solve(gram_DD, centred_BD.T @ (share_B * above_B)))
