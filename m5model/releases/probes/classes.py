"""Classes: a class is the mean of its learned listings' vectors, and a listing is of the nearest one."""

import numpy as np

from m5model.partners.classes.centroids import Centroids
from m5model.partners.data import PartnerData
from m5model.partners.evaluation.scored import Scored, pair_with_truth
from m5model.releases.reading import Reading

METRICS = ("accuracy",)
CONSUMED = "accuracy"


def probe(data: PartnerData, reading: Reading) -> Scored:
    learn, rows = data.select(data.rows_of("learn")), data.rows_of("test")
    names, label_B = np.unique(learn.column("label").astype(str), return_inverse=True)
    centroids = Centroids.fit(reading.learned.of(learn.texts()), label_B, len(names), None, trimmed=False)
    test = data.select(rows)
    cosines_BC = centroids.similarities(reading.read.of(test.texts()), [None] * len(rows))
    best = cosines_BC.argmax(axis=1)
    answers = names.astype(object)[best]
    return pair_with_truth(data, rows, cosines_BC[np.arange(len(rows)), best], predictions=answers)
