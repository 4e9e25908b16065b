"""An experiment on pairs whose matches only vectors know."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from m5model.partners.experiment import Outcome, Plan, run_experiment
from m5model.partners.records import find_finished, open_experiment, write_experiment
from m5model.partners.strategies.frozen import Settings
from m5model.reports.experiment.page import render_experiment
from schemas.errors import ConfigurationError, DamagedFileError, SpaceMismatchError
from schemas.workspace import Workspace
from tests.m5model.partners.conftest import open_rows, pair_rows, product_vectors

QUICK = Settings(trees=40, min_rows=3)


def plan_of(folder: Path, rows: list[dict[str, Any]], **changes: Any) -> Plan:
    vectors = product_vectors(rows)
    return Plan(**{"data": open_rows(folder, rows), "vectors": vectors, "strategy": "frozen", "settings": QUICK} | changes)


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    return plan_of(tmp_path_factory.mktemp("pairs"), pair_rows())


@pytest.fixture(scope="module")
def outcome(planned: Plan) -> Outcome:
    return run_experiment(planned)


def value_of(outcome: Outcome, name: str) -> float:
    return next(float(figure.value or 0) for figure in outcome.manifest.figures if figure.name == name)


def test_where_vectors_know_the_product_they_lift_the_baseline_to_near_perfection(outcome: Outcome) -> None:
    lift = outcome.manifest.comparisons[0]
    assert value_of(outcome, "pr_auc") > 0.97
    assert lift.verdict == "better"
    assert lift.our_value - lift.their_value > 0.2


def test_with_shuffled_labels_nothing_is_learned(tmp_path: Path) -> None:
    rows = pair_rows(products=300)
    labels = np.random.default_rng(0).permutation([row["is_match"] for row in rows]).tolist()
    shuffled = [row | {"is_match": label} for row, label in zip(rows, labels, strict=True)]
    judged = run_experiment(plan_of(tmp_path, shuffled))
    assert abs(value_of(judged, "roc_auc") - 0.5) < 0.12
    assert judged.manifest.comparisons[0].verdict == "not shown"


def test_groups_say_how_seen_a_pair_is_and_which_product_line_it_is_of(outcome: Outcome) -> None:
    found = {(group.column, group.value) for group in outcome.manifest.groups}
    assert {("product_line", "hardlines"), ("product_line", "softlines")} <= found
    assert {column for column, _ in found} == {"product_line", "novelty"}


def test_probabilities_are_calibrated_and_the_model_comes_back_from_disk(
    outcome: Outcome, planned: Plan, tmp_path: Path
) -> None:
    workspace = Workspace(str(tmp_path))
    manifest = write_experiment(workspace, outcome, render_experiment(outcome))
    opened = open_experiment(workspace, "duplicates", manifest.id)
    rows = planned.data.rows_of("test")
    scores = opened.fitted.scores(planned.data, planned.vectors, rows).values
    np.testing.assert_array_equal(scores, outcome.ours.test.scores)
    assert opened.calibration is not None
    assert 0 < opened.calibration.apply(scores).min() < opened.calibration.apply(scores).max() < 1
    assert find_finished(workspace, "duplicates", planned.id) == manifest
    page = Path(workspace.experiment("duplicates", manifest.id), "report.html")
    page.write_text("changed", encoding="utf-8")
    with pytest.raises(DamagedFileError, match="report.html"):
        open_experiment(workspace, "duplicates", manifest.id)


def test_the_same_plan_gives_the_same_model_and_a_change_gives_another_id(outcome: Outcome, planned: Plan) -> None:
    again = run_experiment(replace(planned, threads=2))
    np.testing.assert_array_equal(again.ours.test.scores, outcome.ours.test.scores)
    assert again.manifest.id == outcome.manifest.id
    assert replace(planned, settings=Settings(trees=41, min_rows=3)).id != planned.id
    assert replace(planned, seed=1).id != planned.id


def test_a_model_refuses_vectors_of_another_space(outcome: Outcome, planned: Plan) -> None:
    other = product_vectors(pair_rows())
    other.space_id = "f" * 16
    with pytest.raises(SpaceMismatchError, match="0123456789abcdef.*ffffffffffffffff"):
        outcome.ours.fitted.scores(planned.data, other, planned.data.rows_of("test"))


def test_a_strategy_that_reads_vectors_asks_for_them(planned: Plan) -> None:
    with pytest.raises(ConfigurationError, match="reads vectors"):
        replace(planned, vectors=None)


def test_the_page_shows_figures_comparison_and_mistakes_and_escapes_what_sellers_wrote(outcome: Outcome) -> None:
    page = render_experiment(outcome)
    assert outcome.manifest.id in page
    assert "pr_auc of frozen with our vectors beside frozen without our vectors" in page
    assert page.count("<svg") >= 4
    assert "<script" not in page
