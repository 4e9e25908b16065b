"""Metrics of answers, by hand."""

import numpy as np
import pytest

from m5model.partners.evaluation.metric import find_metric
from m5model.partners.evaluation.scored import Scored


def scored(confidence: list[float], right: str, stated: str | None = None, said: str | None = None) -> Scored:
    """``right``, ``stated`` and ``said`` are rows as + and -."""
    flags = [np.asarray([one == "+" for one in text], bool) for text in (right, stated or "+" * len(right))]
    answers = [None if one == "-" else "value" for one in said or "+" * len(right)]
    return Scored(
        scores=np.asarray(confidence),
        targets=np.asarray(["value"] * len(right), object),
        entity=np.arange(len(right)),
        weights=np.ones(len(right)),
        predictions=np.asarray(answers, object),
        right=flags[0],
        stated=flags[1],
    )


@pytest.mark.parametrize(
    ("name", "rows", "value"),
    [
        ("answer_pr_auc", scored([0.9, 0.8, 0.7, 0.6], "++++"), 1.0),
        ("answer_pr_auc", scored([0.9, 0.8, 0.7, 0.6], "+-+-"), (1 + 2 / 3) / 4),
        ("accuracy", scored([0.9, 0.8, 0.7, 0.6], "+-+-"), 0.5),
        ("accuracy", scored([0.9, 0.8, 0.7], "+--", "+--"), 1.0),
        ("answer_recall_at_p99", scored([0.9, 0.8, 0.7, 0.6], "+-++"), 0.25),
        ("answer_recall_at_p80", scored([0.9] * 4 + [0.1], "+++++"), 1.0),
        ("answer_recall_at_p80", scored([0.9, 0.9, 0.8], "+-+"), 0.0),
        ("answer_recall_at_p80", scored([0.9, 0.8], "++", said="+-"), 0.5),
        ("coverage_at_p85", scored([0.9, 0.8, 0.7, 0.6], "++-+", "++-+"), 2 / 3),
        ("coverage_at_p85", scored([0.9] * 7 + [0.8], "++++++-+"), 1.0),
    ],
)
def test_answers_are_counted_by_confidence_and_ties_together(name: str, rows: Scored, value: float) -> None:
    assert find_metric(name).measure(rows) == pytest.approx(value)
