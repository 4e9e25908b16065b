import json
import math
from dataclasses import asdict

import numpy as np
import pytest

from m5model.gates.evidence import judge, refuse_unless_all_hold, state
from m5model.gates.learning import figures_that_must_improve, state_measured
from m5model.training.stages import Measured
from schemas.errors import ExitCode, GateRefusedError


@pytest.mark.parametrize(("bound", "holding"), [("at least", [2, 3]), ("above", [3]), ("at most", [1, 2]), ("below", [1])])
def test_a_figure_holds_where_its_value_meets_its_bound(bound: str, holding: list[int]) -> None:
    assert [value for value in (1, 2, 3) if judge("f", value, bound, 2, "texts").holds] == holding


@pytest.mark.parametrize("bound", ["at least", "above", "at most", "below"])
def test_what_is_no_number_meets_no_bound_and_is_no_number_in_json_either(bound: str) -> None:
    for value, threshold in ((math.nan, 1.0), (1.0, math.nan)):
        figure = judge("f", value, bound, threshold, "texts")
        assert not figure.holds
        assert "NaN" not in json.dumps(asdict(figure))
        with pytest.raises(GateRefusedError, match="f "):
            refuse_unless_all_hold([figure], "problem", "")


def test_numbers_of_numpy_become_numbers_of_json() -> None:
    for value in (np.float32(0.5), np.float64(0.5), np.int64(3)):
        found = json.loads(json.dumps(asdict(judge("f", value, "at least", np.float32(0.25), "texts"))))
        assert (found["value"], found["threshold"], found["holds"]) == (value, 0.25, True)
        json.dumps(asdict(state("f", value, "texts")))


def test_a_refusal_names_every_figure_that_fell_short_and_no_other() -> None:
    figures = [
        judge("cosine", 0.91, "at least", 0.95, "9 texts"),
        judge("difference", 2e-4, "at most", 1e-4, "9 texts"),
        judge("correlation", 0.99, "at least", 0.9, "9 texts"),
        state("loss", 7.0, "rows"),
    ]
    with pytest.raises(GateRefusedError) as error:
        refuse_unless_all_hold(figures, "not released", "train longer")
    assert str(error.value).startswith(
        "not released: cosine 0.91 (at least 0.95); difference 0.0002 (at most 0.0001), on 9 texts\n"
    )
    assert error.value.exit_code == ExitCode.GATE_REFUSED
    refuse_unless_all_hold(figures[2:], "not released", "train longer")


def _measured(before: float, after: float, lower_is_better: bool) -> Measured:
    return Measured(name="task_metric", lower_is_better=lower_is_better, before=before, after=after, measured_on="9 rows")


@pytest.mark.parametrize(
    ("before", "after", "lower_is_better", "learned"),
    [(5, 4, True, True), (5, 5, True, False), (5, 6, True, False), (0.1, 0.2, False, True), (0.1, 0.1, False, False)],
)
def test_a_task_learned_where_its_metric_got_better(before, after, lower_is_better: bool, learned: bool) -> None:
    figures = figures_that_must_improve([_measured(before, after, lower_is_better)])
    assert [figure.name for figure in figures] == ["task_metric_before", "task_metric_after"]
    assert [figure.holds for figure in figures] == [True, learned]


def test_what_is_only_stated_refuses_nothing() -> None:
    figures = state_measured([_measured(0.9, 0.7, False)])
    assert [(figure.name, figure.bound, figure.holds) for figure in figures] == [
        ("task_metric_before", "none", True),
        ("task_metric_after", "none", True),
    ]
