"""Click models where only vectors know what is clicked, and where nothing does."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from m5model.partners.data import PartnerData
from m5model.partners.evaluation.metric import find_metric
from m5model.partners.evaluation.scored import pair_with_truth
from m5model.partners.experiment import Outcome, Plan, run_experiment
from m5model.partners.registry import find_strategy
from m5model.partners.strategies import crosses, frozen, mlp, two_phase
from m5model.partners.strategy import Given
from m5model.partners.vectors import Vectors
from tests.m5model.partners.conftest import Row, open_rows
from tests.m5model.partners.impressions import click_rows, hide_kinds

SETTINGS = {
    "frozen": frozen.Settings(trees=60),
    "two-phase": two_phase.Settings(components=8, rounds=40, folds=2),
    "mlp": mlp.Settings(rounds=8),
    "crosses": crosses.Settings(buckets=1024),
}


@pytest.fixture(scope="module")
def clicked(tmp_path_factory: pytest.TempPathFactory) -> tuple[PartnerData, Vectors]:
    rows, vectors = hide_kinds(click_rows())
    return open_rows(tmp_path_factory.mktemp("clicks"), rows, "ctr"), vectors


@pytest.fixture(scope="module")
def outcome(clicked: tuple[PartnerData, Vectors]) -> Outcome:
    data, vectors = clicked
    return run_experiment(Plan(data=data, vectors=vectors, strategy="two-phase", settings=SETTINGS["two-phase"]))


def value_of(outcome: Outcome, name: str) -> float:
    return next(float(figure.value or 0) for figure in outcome.manifest.figures if figure.name == name)


def area_of(strategy: str, data: PartnerData, vectors: Vectors | None) -> float:
    """The area under the ROC curve of the split test, without an experiment's intervals."""
    rows = data.rows_of("test")
    given = Given(data=data, vectors=vectors)
    scores = find_strategy(strategy).fit(given, SETTINGS[strategy]).scores(data, vectors, rows).values
    return find_metric("roc_auc").measure(pair_with_truth(data, rows, scores))


def test_vectors_lift_clicks_to_what_the_generator_allows(outcome: Outcome) -> None:
    lift = outcome.manifest.comparisons[0]
    assert value_of(outcome, "roc_auc") > 0.8  # outcomes are drawn: 0.87 is the most that can be known
    assert lift.verdict == "better"


def test_probabilities_of_clicks_are_calibrated_and_kept_as_a_table(outcome: Outcome) -> None:
    table = outcome.tables["reliability"]
    assert sum(table.column("rows").to_pylist()) == outcome.manifest.rows_by_split["test"]
    assert value_of(outcome, "calibration_error") < 0.15
    assert value_of(outcome, "log_loss") < 0.6


@pytest.mark.parametrize("strategy", ["mlp", "crosses", "frozen"])
def test_models_without_vectors_know_the_widget_alone(
    strategy: str, clicked: tuple[PartnerData, Vectors], outcome: Outcome
) -> None:
    assert 0.6 < area_of(strategy, clicked[0], None) < value_of(outcome, "roc_auc")


@pytest.mark.parametrize("strategy", sorted(SETTINGS))
def test_click_models_come_back_from_disk_with_the_same_scores(
    strategy: str, clicked: tuple[PartnerData, Vectors], tmp_path: Path
) -> None:
    data, vectors = clicked
    module = find_strategy(strategy)
    fitted = module.fit(Plan(data=data, vectors=vectors, strategy=strategy).given(), SETTINGS[strategy])
    fitted.save(tmp_path)
    rows = data.rows_of("test")
    np.testing.assert_array_equal(
        module.load(tmp_path).scores(data, vectors, rows).values, fitted.scores(data, vectors, rows).values
    )


def test_with_shuffled_clicks_nothing_is_learned(tmp_path: Path) -> None:
    rows, vectors = hide_kinds(click_rows(2000))
    clicks = np.random.default_rng(0).permutation([row["clicks"] for row in rows]).tolist()
    shuffled: list[Row] = [row | {"clicks": one} for row, one in zip(rows, clicks, strict=True)]
    assert abs(area_of("two-phase", open_rows(tmp_path, shuffled, "ctr"), vectors) - 0.5) < 0.12


def test_rates_of_a_model_with_times_are_of_what_was_shown_before(tmp_path: Path) -> None:
    rows, vectors = hide_kinds(click_rows(300, times=True))
    data = open_rows(tmp_path, rows, "ctr")
    given = Plan(data=data, vectors=vectors, strategy="mlp").given()
    inputs = find_strategy("frozen").fit(given, frozen.Settings(trees=1)).inputs
    place = inputs.names.index("rate_widget")
    rates = inputs.matrix(data, vectors, np.arange(len(data)))[:, place]
    first = int(np.argmin(data.column("at")))
    assert rates[first] == pytest.approx(0.5)
    assert np.ptp(rates) > 0.1


def test_an_encoder_that_clicks_have_fine_tuned_is_kept_with_both_phases(trained: Any, tmp_path: Path) -> None:
    rows = click_rows(240)
    data = open_rows(tmp_path, rows, "ctr")
    given = Given(data=data, vectors=None, source=str(trained.student_folder), device="cpu")
    settings = two_phase.Settings(components=4, rounds=2, steps=2, tokens=16)
    fitted = two_phase.fit(given, settings)
    assert fitted.tower is not None
    fitted.save(tmp_path / "model")
    tested = data.rows_of("test")
    scores = fitted.scores(data, None, tested).values
    np.testing.assert_allclose(two_phase.load(tmp_path / "model").scores(data, None, tested).values, scores, atol=1e-5)
    assert np.ptp(scores) > 0
