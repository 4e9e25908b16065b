"""The sample catalogue's judge: its figures are those of the definitions, and its rivals are as strong as they should be."""

import numpy as np
import pytest

from m5model.sample_catalogue.evaluation import (
    Judgements,
    LabelledPairs,
    best_threshold,
    compare_pairs,
    compare_rows,
    interval_of_ratios,
    ndcg_of_each,
)
from m5model.sample_catalogue.rivals import TfIdf, bm25_scores

TEXTS = ["red cotton shirt", "red cotton shirts", "blue leather shoes", "steel bottle 500 ml", "blue leather shoe", "青 革 靴"]


def _pairs(is_match: np.ndarray) -> LabelledPairs:
    rows = np.arange(len(is_match))
    return LabelledPairs(left_P=rows, right_P=rows, is_match_P=is_match, entity_P=rows // 2, is_test_P=rows % 4 != 0)


def test_the_strongest_rival_is_the_one_that_counts() -> None:
    is_match = np.arange(200) % 3 == 0
    draw = np.random.default_rng(1)
    good, bad = is_match + draw.normal(0, 0.3, 200), draw.normal(0, 1, 200)
    found = compare_pairs(_pairs(is_match), bad, {"good": good, "bad": bad})
    assert (found.rival, found.verdict, found.rows) == ("good", "worse", 150)
    turned = compare_pairs(_pairs(is_match), good, {"bad": bad})
    assert (turned.verdict, turned.low > 0) == ("better", True)
    assert compare_pairs(_pairs(is_match), good, {"same": good}).verdict == "level"


def test_the_threshold_is_chosen_without_the_test_pairs() -> None:
    is_match = np.arange(200) % 3 == 0
    scores = np.where(is_match, 0.9, 0.1)
    pairs = _pairs(is_match)
    spoilt = np.where(pairs.is_test_P, 1 - scores, scores)
    found = compare_pairs(pairs, spoilt, {"same": spoilt})
    assert found.beside["threshold"] == pytest.approx(0.9)
    assert found.beside["recall"] == 0


def test_the_best_threshold_has_the_best_f1() -> None:
    assert best_threshold(np.asarray([0, 0, 1, 1], bool), np.asarray([0.1, 0.4, 0.35, 0.8])) == pytest.approx(0.35)


def test_ndcg_is_one_for_the_ideal_order_and_falls_with_every_place() -> None:
    judgements = Judgements(queries=["a"], candidates=[np.arange(4)], gains=[{2: 2.0, 3: 1.0}])
    ideal = ndcg_of_each(judgements, lambda _, rows: np.asarray([0, 1, 9, 8.0]))
    assert ideal[0] == pytest.approx(1)
    worse = ndcg_of_each(judgements, lambda _, rows: np.asarray([0, 9, 8, 7.0]))
    assert worse[0] == pytest.approx((2 / np.log2(3) + 1 / 2) / (2 + 1 / np.log2(3)))


def test_ten_results_count() -> None:
    judgements = Judgements(queries=["a"], candidates=[np.arange(12)], gains=[{11: 1.0}])
    assert ndcg_of_each(judgements, lambda _, rows: -rows.astype(float))[0] == 0


def test_rows_are_compared_pair_by_pair() -> None:
    ours, theirs = np.ones(50), np.r_[np.ones(25), np.zeros(25)]
    found = compare_rows("brands", "accuracy", ours, {"rival": theirs}, np.arange(50))
    assert (found.ours, found.theirs, found.verdict) == (1.0, 0.5, "better")
    assert found.low < 0.5 < found.high


def test_ratios_are_compared_with_their_own_denominators() -> None:
    counts = np.tile([[1, 2, 1, 4]], (40, 1))
    assert interval_of_ratios(counts, np.arange(40)) == (0.25, 0.25)


def test_tfidf_finds_the_text_of_the_same_words_and_of_the_same_pieces() -> None:
    for unit in ("words", "pieces"):
        model = TfIdf.of(TEXTS, unit)
        near, cosines = model.neighbours(np.arange(5), 1)
        assert near[0, 0] == 1
        assert cosines[0, 0] == pytest.approx(model.cosines(np.asarray([0]), np.asarray([1]))[0])
        assert model.scores(["blue shoes"])[0].argmax() == 2


def test_a_text_is_no_evidence_for_its_own_group() -> None:
    texts = ["acme red", "acme blue", "zephyr one", "zephyr two", "unlike anything"]
    found = TfIdf.of(texts, "words").nearest_group(np.asarray([0, 0, 1, 1, 0]), 2)
    assert found.tolist()[:4] == [0, 0, 1, 1]
    assert TfIdf.of(texts, "words").nearest_group(np.asarray([0, 0, 1, 1, -1]), 2)[4] == -1


def test_bm25_ranks_the_text_that_has_the_querys_words() -> None:
    scores = bm25_scores(TEXTS, ["steel bottle", "靴", "no such words"])
    assert scores.shape == (3, len(TEXTS))
    assert scores[:2].argmax(axis=1).tolist() == [3, 5]
    assert not scores[2].any()
