"""Attributes: of the values that the most similar learned listings state, the one with the greatest share."""

from collections.abc import Sequence

import numpy as np

from m5model.partners.attributes.questions import Questions
from m5model.partners.attributes.votes import Vote, Voters
from m5model.partners.data import PartnerData
from m5model.partners.evaluation.scored import Scored, pair_with_truth
from m5model.partners.vectors import given_vectors
from m5model.releases.reading import Reading

METRICS = ("accuracy",)
CONSUMED = "accuracy"


def probe(data: PartnerData, reading: Reading) -> Scored:
    learn, rows = Questions.read(data, data.rows_of("learn")), data.rows_of("test")
    voters = Voters.fit(learn.all, [0] * len(learn.all), reading.learned)
    asked = Questions.read(data, rows)
    texts = sorted({question.text for question in asked.all})
    # A consumer of the old space takes the new vectors for those that it knows.
    read = given_vectors(dict(zip(texts, reading.read.of(texts), strict=True)), reading.learned.space_id)
    answers, shares = _best(voters.ask(asked.all, read))
    return pair_with_truth(data, rows, shares[asked.of_row], predictions=answers[asked.of_row])


def _best(votes: Sequence[Vote]) -> tuple[np.ndarray, np.ndarray]:
    """The value with the greatest share of each vote, None where there is none, and the share."""
    found = [max(vote.values.items(), key=lambda one: (one[1], one[0]), default=(None, 0.0)) for vote in votes]
    return np.asarray([value for value, _ in found], object), np.asarray([share for _, share in found], np.float64)
