"""Brands whose listings share no word: only vectors know them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from m5model.data.randomness import generator_for
from m5model.partners.classes.centroids import Centroids
from m5model.partners.classes.spellings import find_spellings
from m5model.partners.evaluation.refusal import refusal_threshold
from m5model.partners.experiment import Outcome, Plan, run_experiment
from m5model.partners.strategies import centroids, class_ranking
from m5model.partners.vectors import Vectors, given_vectors
from m5model.reports.experiment.page import render_experiment
from schemas.errors import BadDataError, SpaceMismatchError
from tests.m5model.partners.conftest import DIMENSIONS, SPACE, Row, open_rows

BRANDS = 12
QUICK = class_ranking.Settings(trees=40, min_rows=3)


def brand_rows(listings: int = 20) -> list[Row]:
    """Listings of BRANDS brands to learn from, and of one more that only test has."""
    rows = [_row(brand, number, _split(number)) for brand in range(BRANDS) for number in range(listings)]
    return rows + [_row(BRANDS, number, "test") for number in range(listings)]


def _row(brand: int, number: int, split: str) -> Row:
    draw = generator_for("listing", brand, number)
    text = " ".join("".join(draw.choice(list("aeiounrst"), 6)) for _ in range(4))
    return {"text": text, "scheme": "brand", "label": f"Brand {brand:02d}", "split": split, "language": "en", "_": brand}


def _split(number: int) -> str:
    return ("learn", "learn", "learn", "validate", "test")[number % 5]


def brand_vectors(rows: list[Row], noise: float = 0.1) -> Vectors:
    """Listings of a brand lie near each other."""
    vectors = {}
    for row in rows:
        around = generator_for("brand", row["_"]).normal(size=DIMENSIONS)
        around = around + noise * generator_for("text", row["text"]).normal(size=DIMENSIONS)
        vectors[row["text"]] = (around / np.linalg.norm(around)).astype(np.float32)
    return given_vectors(vectors, SPACE)


def plan_of(folder: Path, rows: list[Row], strategy: str, settings: Any = None) -> Plan:
    plain = [{name: value for name, value in row.items() if name != "_"} for row in rows]
    return Plan(data=open_rows(folder, plain, "brands"), vectors=brand_vectors(rows), strategy=strategy, settings=settings)


@pytest.fixture(scope="module")
def ranked(tmp_path_factory: pytest.TempPathFactory) -> tuple[Plan, Outcome]:
    plan = plan_of(tmp_path_factory.mktemp("brands"), brand_rows(), "class-ranking", QUICK)
    return plan, run_experiment(plan)


def figures_of(outcome: Outcome) -> dict[str, Any]:
    return {figure.name: figure.value for figure in outcome.manifest.figures}


def test_where_vectors_know_the_brand_they_lift_the_ranking_to_near_perfection(ranked: tuple[Plan, Outcome]) -> None:
    _, outcome = ranked
    lift = outcome.manifest.comparisons[0]
    assert figures_of(outcome)["answer_pr_auc"] > 0.95
    assert lift.verdict == "better"
    assert lift.their_value < 0.4


def test_centroids_alone_are_enough_and_every_form_of_them_is_reported(ranked: tuple[Plan, Outcome]) -> None:
    figures = figures_of(ranked[1])
    for form in ("plain", "trimmed", "per_language", "plain_untouched"):
        assert figures[f"centroids_{form}_pr_auc"] > 0.95
    assert figures["few_shot_accuracy_1_listings"] <= figures["few_shot_accuracy_10_listings"] == 1


def test_a_brand_that_was_never_learned_is_refused(ranked: tuple[Plan, Outcome]) -> None:
    figures = figures_of(ranked[1])
    assert figures["unknown_refused"] > 0.7
    assert figures["known_refused"] < 0.15


def test_the_page_lists_names_that_may_be_one_brand(ranked: tuple[Plan, Outcome]) -> None:
    page = render_experiment(ranked[1])
    assert "<h2>Spellings</h2>" in page
    assert "Few listings a class" in page


def test_with_shuffled_labels_brands_are_guessed(tmp_path: Path) -> None:
    rows = brand_rows()[: BRANDS * 20]
    labels = np.random.default_rng(0).permutation([row["label"] for row in rows]).tolist()
    shuffled = [row | {"label": label} for row, label in zip(rows, labels, strict=True)]
    judged = run_experiment(plan_of(tmp_path, shuffled, "centroids"))
    assert figures_of(judged)["accuracy"] < 3 / BRANDS


@pytest.mark.parametrize("strategy", ["centroids", "class-ranking"])
def test_a_model_answers_the_same_after_it_was_saved(strategy: str, tmp_path: Path, ranked: tuple[Plan, Outcome]) -> None:
    plan = ranked[0]
    module = {"centroids": centroids, "class-ranking": class_ranking}[strategy]
    fitted = module.fit(plan.given(), QUICK if strategy == "class-ranking" else centroids.Settings(per_language=True))
    fitted.save(tmp_path / "model")
    rows = plan.data.rows_of("test")
    before, after = (one.scores(plan.data, plan.vectors, rows) for one in (fitted, module.load(tmp_path / "model")))
    np.testing.assert_array_equal(before.values, after.values)
    np.testing.assert_array_equal(before.predictions, after.predictions)
    other = brand_vectors(brand_rows())
    other.space_id = "f" * 16
    with pytest.raises(SpaceMismatchError, match="0123456789abcdef.*ffffffffffffffff"):
        fitted.scores(plan.data, other, rows)


def test_a_trimmed_centroid_leaves_outliers_out() -> None:
    near, far = np.eye(4, dtype=np.float32)[[0] * 8], np.eye(4, dtype=np.float32)[[1] * 2]
    vectors, label = np.concatenate([near, far]), np.zeros(10, np.int64)
    plain, trimmed = (Centroids.fit(vectors, label, 1, None, trimmed=one) for one in (False, True))
    assert plain.vectors[0, 0, 0] < 0.98
    assert trimmed.vectors[0, 0, 0] == 1


def test_a_class_has_a_centroid_of_its_own_in_a_language_with_listings_enough() -> None:
    vectors = np.eye(4, dtype=np.float32)[[0, 0, 0, 1, 1, 1, 2]]
    found = Centroids.fit(vectors, np.zeros(7, np.int64), 1, [*["de"] * 3, *["ja"] * 3, "fr"], trimmed=False)
    cosines = found.similarities(np.eye(4, dtype=np.float32)[[0, 1, 1, 2]], ["de", "ja", "de", "fr"])
    np.testing.assert_allclose(cosines[:3, 0], [1, 1, 0])
    assert 0 < cosines[3, 0] < 1  # one French listing is too few: the centroid of all


def test_the_share_of_known_rows_that_is_refused_stays_below_the_promise() -> None:
    draw = np.random.default_rng(0)
    shares = []
    for _ in range(300):
        calibration, tested = draw.normal(size=60), draw.normal(size=200)
        shares.append((tested < refusal_threshold(calibration, 0.1)).mean())
    assert 0.08 < np.mean(shares) <= 0.102  # 6 of 61 are promised


def test_with_few_rows_to_calibrate_on_nothing_is_refused() -> None:
    assert refusal_threshold(np.asarray([0.2, 0.9]), 0.05) == float("-inf")


@pytest.mark.parametrize(
    ("name", "others"),
    [
        ("Sony", ("ソニー", "سوني", "SONY Corp")),
        ("Samsung", ("サムスン", "سامسونج")),
        ("Nestlé", ("ネスレ", "نستله", "Nestle")),
        ("Adidas", ("アディダス", "أديداس", "adidas ")),
        ("Philips", ("フィリップス", "فيليبس", "Phillips")),
        ("Toyota", ("トヨタ", "تويوتا")),
    ],
)
def test_spellings_of_a_name_are_found_across_scripts_and_others_are_not(name: str, others: tuple[str, ...]) -> None:
    found = {frozenset((pair.name, pair.other)) for pair in find_spellings((name, *others, "Bosch", "Lego", "パナソニック"))}
    wanted = {frozenset((name, other)) for other in others if "Corp" not in other}
    assert wanted <= found
    assert not any(found_pair & {"Bosch", "Lego"} for found_pair in found)


def test_names_that_no_letter_joins_are_found_by_their_centroids() -> None:
    centroids_CD = np.eye(3, dtype=np.float32)[[0, 1, 0, 2]]
    found = find_spellings(("Hakumori", "Takezora", "白守工房", "竹空電機"), centroids_CD)
    assert [(pair.name, pair.other) for pair in found] == [("Hakumori", "白守工房")]


def test_a_brand_file_without_labels_is_refused_before_anything_is_learned(tmp_path: Path) -> None:
    rows = [{name: row[name] for name in ("text", "split")} for row in brand_rows(5)]
    with pytest.raises(BadDataError) as refused:
        open_rows(tmp_path, rows, "brands")
    assert "column scheme is missing" in str(refused.value)
    assert "column label is missing" in str(refused.value)
