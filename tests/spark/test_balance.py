"""Balance plans, as pure values."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import ConfigurationError, GateRefusedError
from spark.sampling.balance import BalancePlan, allocate_rows, cap_floor, natural, read_plan, verify_balance

REAL = {
    "ar": 3806,
    "de": 15000,
    "en": 48311,
    "es": 12738,
    "fr": 15000,
    "it": 8461,
    "ja": 880,
    "nl": 2397,
    "pt": 1867,
    "tr": 1302,
}


def test_the_largest_balanced_set_of_the_real_catalogue_is_decided_by_its_smallest_language() -> None:
    counts = allocate_rows(cap_floor(), REAL)
    assert sum(counts.values()) == 17_600
    assert (counts["en"], counts["ja"], counts["tr"]) == (4_400, 880, 880)


@given(st.lists(st.integers(40, 5_000), min_size=10, max_size=10), st.integers(20, 800))
def test_a_plan_that_can_be_kept_is_kept_to_the_row(available: list[int], rows: int) -> None:
    by_language = {f"l{i}": count for i, count in enumerate(available)}
    plan = BalancePlan(name="p", cap=0.25, floor=0.05, rows=rows)
    counts = allocate_rows(plan, by_language)
    assert sum(counts.values()) == rows
    assert all(0.05 * rows <= counts[k] <= min(0.25 * rows, by_language[k]) for k in by_language)
    verify_balance(plan, counts)


def test_a_set_that_breaks_the_cap_is_refused() -> None:
    balanced = allocate_rows(cap_floor(), REAL)
    with pytest.raises(GateRefusedError, match="en has 2[5-9]"):
        verify_balance(cap_floor(), {**balanced, "en": balanced["en"] + 1})


def test_a_set_that_misses_the_floor_is_refused() -> None:
    balanced = allocate_rows(cap_floor(), REAL)
    with pytest.raises(GateRefusedError, match="ja has 4.9"):
        verify_balance(cap_floor(), {**balanced, "ja": balanced["ja"] - 1})


def test_too_many_rows_are_explained_with_the_largest_number_that_is_possible() -> None:
    with pytest.raises(ConfigurationError, match="ja has only 880") as error:
        allocate_rows(BalancePlan(name="p", cap=0.25, floor=0.05, rows=20_000), REAL)
    assert "17,600" in error.value.next_step


def test_three_languages_cannot_keep_a_cap_of_a_quarter() -> None:
    with pytest.raises(ConfigurationError, match="3 languages at most 25% each make 75%"):
        allocate_rows(cap_floor(), {"en": 10, "de": 10, "fr": 10})


def test_the_natural_plan_takes_everything() -> None:
    assert allocate_rows(natural(), REAL) == REAL


def test_a_plan_can_be_a_file_and_its_unknown_keys_are_named(tmp_path: Path) -> None:
    file = tmp_path / "mine.json"
    file.write_text(json.dumps({"cap": 0.5, "rows": 100}))
    assert read_plan(str(file)) == BalancePlan(name="mine", cap=0.5, rows=100)
    file.write_text(json.dumps({"roof": 1}))
    with pytest.raises(ConfigurationError, match="unknown keys roof"):
        read_plan(str(file))
