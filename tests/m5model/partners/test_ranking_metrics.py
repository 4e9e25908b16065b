"""Ranking metrics beside values that were worked out by hand."""

import numpy as np
import pytest

from m5model.gates.intervals import bootstrap
from m5model.partners.evaluation.metric import find_metric
from m5model.partners.evaluation.metrics.ranking import ndcg_at_10, rank_rows
from m5model.partners.evaluation.scored import Scored


def scored(queries: list[int], scores: list[float], gains: list[float]) -> Scored:
    ids = np.asarray(queries)
    return Scored(
        scores=np.asarray(scores, float),
        targets=np.asarray(gains, float),
        entity=ids.astype(str),
        weights=np.ones(len(ids)),
        query=ids.astype(str),
        query_id=ids,
        row=np.arange(len(ids)),
    )


def value(name: str, of: Scored) -> float:
    return find_metric(name).measure(of)


def test_ndcg_is_the_discounted_gain_over_that_of_the_best_order() -> None:
    found = value("ndcg_at_10", scored([0, 0, 0], [3, 2, 1], [0.5, 1.0, 0.0]))
    assert found == pytest.approx((0.5 + 1 / np.log2(3)) / (1 + 0.5 / np.log2(3)))


def test_ndcg_looks_at_ten_rows_and_leaves_out_queries_without_gain() -> None:
    late = scored([0] * 11 + [1], list(range(11, 0, -1)) + [1], [0.0] * 10 + [1.0, 0.0])
    assert value("ndcg_at_10", late) == 0


def test_average_precision_is_the_mean_precision_at_relevant_rows() -> None:
    first, second = ([4, 3, 2, 1], [1, 0, 1, 0]), ([4, 3, 2, 1], [0, 1, 0, 0])
    both = scored([0] * 4 + [1] * 4, first[0] + second[0], first[1] + second[1])
    one, other = (1 + 2 / 3) / 2, 1 / 2
    assert value("map", both) == pytest.approx((one + other) / 2)
    assert value("map_weighted", both) == pytest.approx((2 * one + other) / 3)


def test_recall_and_exact_matches_say_nothing_where_all_rows_are_among_the_first() -> None:
    short = scored([0, 0], [2, 1], [1, 0])
    assert np.isnan([value("recall_at_100", short), value("exact_at_16", short)]).all()


def test_recall_counts_relevant_rows_among_the_first_hundred() -> None:
    gains = [0.0] * 120
    gains[0], gains[50], gains[110] = 1.0, 0.5, 1.0
    ranked = scored([0] * 120, list(range(120, 0, -1)), gains)
    assert value("recall_at_100", ranked) == pytest.approx(2 / 3)
    assert value("exact_at_16", ranked) == pytest.approx(1 / 2)


def test_rows_that_are_drawn_twice_are_rankings_of_their_own() -> None:
    rows = scored([0, 0, 1, 1], [2, 1, 1, 2], [1, 0, 1, 0])
    twice = rows.select(np.asarray([0, 1, 0, 1, 2, 3]))
    assert rank_rows(twice).count == 3
    assert ndcg_at_10(twice) == pytest.approx((2 + 1 / np.log2(3)) / 3)


def test_equal_scores_are_ranked_in_an_order_that_favours_none() -> None:
    equal = scored(sorted(list(range(4000)) * 2), [0.0] * 8000, [1, 0] * 4000)
    assert value("map", equal) == pytest.approx(0.75, abs=0.02)
    interval = bootstrap(lambda rows: value("map", equal.select(rows)), equal.entity, resamples=5)
    assert interval.low < 0.76
