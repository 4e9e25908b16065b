"""The page of a distillation: what it shows of which facts, and that it is one file."""

import re
from dataclasses import replace

import pytest

from m5model.distillation.ablation import WHOLE, Ablated
from m5model.distillation.candidates import Trial
from m5model.distillation.notes import Clock, Notes
from m5model.gates.evidence import judge, state
from m5model.gates.intervals import Interval
from m5model.reports.distillation.drawing import Axis
from m5model.reports.distillation.facts import DistillationFacts, facts_of, frontier
from m5model.reports.distillation.page import render_page


def _trial(name: str, agreement: float, ms: float) -> Trial:
    return Trial(name=name, agreement=agreement, ms_at_32_tokens=ms, ms_at_512_tokens=None, int8_mb=9.5)


def _ablated(without: str, agreement: float) -> Ablated:
    interval = Interval(value=agreement, low=agreement - 0.02, high=agreement + 0.02)
    return Ablated(without=without, agreement=interval, average_precision=replace(interval, value=agreement / 2))


def _gap(name: str, value: float, threshold: float):
    return replace(judge(name, value, "at most", threshold, "99 pairs"), low=value - 0.01, high=value + 0.01)


@pytest.fixture
def facts() -> DistillationFacts:
    notes = Notes(
        steps={"imitation": 40},
        trials=[_trial("4x384", 0.93, 3.0), _trial("8x384", 0.95, 6.0), _trial("6x384", 0.92, 4.0)],
        ablations=[_ablated(WHOLE, 0.9), _ablated("imitation", 0.7)],
        ablation_steps=25,
        figures=(
            state("agreement", 0.91, "2,048 held-out texts"),
            _gap("pairs_roc_auc_gap", 0.01, 0.02),
            _gap("pairs_roc_auc_gap_de", 0.015, 0.02),
            _gap("pairs_roc_auc_gap_ja", 0.09, 0.02),
            state("int8_mb", float("nan"), "<model>"),
        ),
        similarities=((0.1, 0.2), (0.8, 0.7)),
        run="0a1b",
    )
    notes.clock.seconds |= {"imitation": 30.0, "export": 150.0}
    return facts_of(notes, None)


def test_the_page_is_one_file_that_asks_for_nothing_else_and_the_same_bytes_twice(facts) -> None:
    page = render_page(facts)
    assert page == render_page(facts)
    assert not re.search(r"<script|https?://|@import|url\(|<img|<link", page)
    assert "<model>" not in page and "&lt;model&gt;" in page


def test_it_shows_candidates_languages_scores_costs_and_what_parts_earned(facts) -> None:
    page = render_page(facts)
    assert "candidates (3): milliseconds against agreement; 4x384 was chosen" in page
    assert page.count('class="cloud"') == 1 and "similarities of 2 pairs" in page
    assert "Japanese: 0.09 [0.08, 0.1]" in page and page.count('class="short"') == 1
    assert "30.0 s" in page and "2.5 min" in page
    assert "+0.2000" in page and "+0.1000" in page
    assert "refused this student: 1 of 5 figures fell short" in page


def test_what_was_not_made_is_said_to_be_missing_and_why(facts) -> None:
    bare = replace(facts, trials=[], ablations=[], similarities=[], figures=[])
    page = render_page(bare)
    assert "one geometry was asked for" in page and "--ablate</code> was not asked for" in page
    assert "no language has enough" in page and "was not examined" in page
    alone = render_page(replace(facts, ablations=facts.ablations[:1]))
    assert "there is nothing to leave out" in alone


def test_the_frontier_holds_what_no_other_candidate_beats(facts) -> None:
    assert [one.name for one in frontier(facts.trials)] == ["4x384", "8x384"]
    same = [_trial("a", 0.9, 3), _trial("b", 0.9, 3), _trial("c", 0.95, 3)]
    assert [one.name for one in frontier(same)] == ["c"]


@pytest.mark.parametrize("values", [[0.5], [0.0], [1e-6, 2e-6], [-3.0, 900.0], [0.9997, 0.9998]])
def test_an_axis_has_room_for_its_values_and_a_few_round_numbers(values) -> None:
    axis = Axis.over(values, 0, 100)
    assert all(0 < axis.place(value) < 100 for value in values)
    ticks = axis.ticks()
    assert 2 <= len(ticks) <= 8
    assert all(axis.low <= tick <= axis.high for tick in ticks)


def test_a_step_does_not_count_the_seconds_of_steps_within_it() -> None:
    now = iter([0.0, 2.0, 5.0, 6.0, 10.0, 14.0])
    clock = Clock(lambda: next(now))
    with clock.step("outer"), clock.step("inner"):
        pass
    with clock.step("inner"):
        pass
    assert clock.seconds == {"outer": 3.0, "inner": 7.0}
