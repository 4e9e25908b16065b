"""A new partner is one file; strategies say what they need; models weigh what they did not learn from."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from m5model.cli import main
from m5model.partners.evaluation.calibration import fit_calibration
from m5model.partners.evaluation.metric import find_metric
from m5model.partners.evaluation.metrics.binary import calibration_error
from m5model.partners.evaluation.scored import Scored
from m5model.partners.experiment import Plan, run_experiment
from m5model.partners.registry import find_partner, list_partners, list_strategies
from m5model.partners.request import read_settings
from m5model.partners.stacking import Stack, fit_stack
from m5model.partners.strategies.frozen import Settings
from m5model.partners.vectors import read_vectors
from schemas import partners
from schemas.errors import ConfigurationError, SpaceMismatchError
from tests.m5model.partners.conftest import SPACE, open_rows, pair_rows, product_vectors

SIXTH = '''
"""Bundles: do two listings belong into one parcel?"""
import pyarrow as pa
from schemas.labels import PAIRS
from schemas.partner import Partner, both_sides
from schemas.tables import Column

PARTNER = Partner(
    name="parcels",
    owner="parcels-team",
    description="Pairs that go into one parcel.",
    labels=PAIRS,
    evidence=both_sides(Column(name="weight", type=pa.float64(), unit="kg", meaning="weight", nullable=False)),
    view="duplicates",
    metric="roc_auc",
    baseline="frozen",
)
'''


@pytest.fixture
def sixth_partner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "parcels.py").write_text(SIXTH, encoding="utf-8")
    monkeypatch.setattr(partners, "__path__", [*partners.__path__, str(tmp_path)])
    return "parcels"


def test_a_partner_that_is_one_more_file_has_experiments_with_its_own_evidence_and_metric(
    sixth_partner: str, tmp_path: Path
) -> None:
    rows = [{name: value for name, value in row.items() if name != "product_line"} for row in pair_rows(products=160)]
    weighed = [row | {"left_weight": 1.0, "right_weight": 1.0 if row["is_match"] else 5.0} for row in rows]
    data = open_rows(tmp_path, weighed, sixth_partner)
    plan = Plan(data=data, vectors=product_vectors(rows), strategy="frozen", settings=Settings(trees=20, min_rows=3))
    outcome = run_experiment(plan)
    assert sixth_partner in list_partners()
    assert outcome.manifest.figures[0].name == "roc_auc"
    assert (outcome.manifest.comparisons[0].their_value or 0) > 0.97  # the weight alone says it


@pytest.mark.parametrize("name", list_partners())
def test_every_partner_names_a_metric_and_a_baseline_that_there_are_and_which_way_is_better(name: str) -> None:
    partner = find_partner(name)
    metric = find_metric(partner.metric)
    assert partner.name == name
    assert partner.higher_is_better == metric.higher_is_better
    assert partner.labels.name in metric.kinds
    assert partner.labels.name in list_strategies()[partner.baseline].SERVES


def test_strategies_are_listed_with_what_each_needs_costs_and_is_good_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["strategies"]) == 0
    printed = capsys.readouterr().out
    for name, strategy in list_strategies().items():
        assert f"{name}\n" in printed
        for text in (strategy.SUMMARY, strategy.NEEDS, strategy.COSTS, strategy.GOOD_FOR):
            assert text in printed


def test_a_setting_that_a_strategy_does_not_have_is_refused_with_those_that_it_has() -> None:
    strategy = list_strategies()["frozen"]
    assert read_settings(strategy, ("trees=50", "learning_rate=0.1")) == Settings(trees=50, learning_rate=0.1)
    with pytest.raises(ConfigurationError, match="no NAME=VALUE.*no setting 'tres'"):
        read_settings(strategy, ("trees", "tres=5"))
    with pytest.raises(ConfigurationError, match="learning_rate is 7.*trees is 0"):
        read_settings(strategy, ("trees=0", "learning_rate=7"))


def test_vectors_of_another_space_are_refused_by_both_names(tmp_path: Path) -> None:
    file = tmp_path / "vectors.parquet"
    pq.write_table(pa.table({"text": ["a", "b"], "space_id": [SPACE, SPACE], "vector": [[1.0, 0.0], [0.0, 1.0]]}), file)
    np.testing.assert_array_equal(read_vectors(file, SPACE).of(["b", "a", "b"]), [[0, 1], [1, 0], [0, 1]])
    with pytest.raises(SpaceMismatchError, match=f"{SPACE}.*feedfeedfeedfeed"):
        read_vectors(file, "feedfeedfeedfeed")


def scored_of(probabilities: np.ndarray, scores: np.ndarray) -> Scored:
    draw = np.random.default_rng(0)
    outcomes = draw.random(len(probabilities)) < probabilities
    return Scored(scores=scores, targets=outcomes, entity=np.arange(len(scores)), weights=np.ones(len(scores)))


@pytest.mark.parametrize("distort", [lambda p: p**3, lambda p: np.floor(p * 5) / 5, lambda p: 8 * p - 4])
def test_calibration_makes_probabilities_of_distorted_scores(distort) -> None:
    truth = np.random.default_rng(1).random(4_000)
    validate, test = (scored_of(part, distort(part)) for part in (truth[:2_000], truth[2_000:]))
    calibration = fit_calibration(validate)
    assert calibration is not None
    probabilities = calibration.apply(test.scores)
    judged = Scored(scores=probabilities, targets=test.targets, entity=test.entity, weights=test.weights)
    assert calibration_error(judged) < 0.05
    assert (np.diff(calibration.apply(np.sort(test.scores))) >= 0).all()


def test_too_few_matches_give_no_calibration() -> None:
    scores = np.linspace(0, 1, 50)
    few = Scored(scores=scores, targets=scores > 0.9, entity=np.arange(50), weights=np.ones(50))
    assert fit_calibration(few) is None


def test_a_stack_trusts_the_model_that_knows_more_and_comes_back_from_disk(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    outcomes = draw.random(800) < 0.3
    good = outcomes + 0.4 * draw.normal(size=800)  # cosine-like: no probability
    noise = draw.random(800)
    scores = np.stack([good, noise], axis=1)
    stack = fit_stack(("good", "noise"), scores, outcomes)
    assert abs(stack.weights[0]) > 5 * abs(stack.weights[1])
    stack.save(tmp_path / "stack.json")
    np.testing.assert_array_equal(Stack.load(tmp_path / "stack.json").apply(scores), stack.apply(scores))
