"""Balance plans, as pure values."""

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import ConfigurationError, GateRefusedError
from spark.sampling.balance import allocate, allocate_languages, verify_allocation, verify_balance
from spark.sampling.plans import BalancePlan, cap_floor, multinomial, natural, read_plan, unimax

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
    counts = allocate_languages(cap_floor(), REAL)
    assert sum(counts.values()) == 17_600
    assert (counts["en"], counts["ja"], counts["tr"]) == (4_400, 880, 880)


@given(st.lists(st.integers(40, 5_000), min_size=10, max_size=10), st.integers(20, 800))
def test_a_plan_that_can_be_kept_is_kept_to_the_row(available: list[int], rows: int) -> None:
    by_language = {f"l{i}": count for i, count in enumerate(available)}
    plan = BalancePlan(name="p", cap=0.25, floor=0.05, rows=rows)
    counts = allocate_languages(plan, by_language)
    assert sum(counts.values()) == rows
    assert all(0.05 * rows <= counts[k] <= min(0.25 * rows, by_language[k]) for k in by_language)
    verify_balance(plan, counts)


def test_a_set_that_breaks_the_cap_is_refused() -> None:
    balanced = allocate_languages(cap_floor(), REAL)
    with pytest.raises(GateRefusedError, match="en has 2[5-9]"):
        verify_balance(cap_floor(), {**balanced, "en": balanced["en"] + 1})


def test_a_set_that_misses_the_floor_is_refused() -> None:
    balanced = allocate_languages(cap_floor(), REAL)
    with pytest.raises(GateRefusedError, match="ja has 4.9"):
        verify_balance(cap_floor(), {**balanced, "ja": balanced["ja"] - 1})


def test_too_many_rows_are_explained_with_the_largest_number_that_is_possible() -> None:
    with pytest.raises(ConfigurationError, match="ja has only 880") as error:
        allocate_languages(BalancePlan(name="p", cap=0.25, floor=0.05, rows=20_000), REAL)
    assert "17,600" in error.value.next_step


def test_three_languages_cannot_keep_a_cap_of_a_quarter() -> None:
    with pytest.raises(ConfigurationError, match="3 languages at most 25% each make 75%"):
        allocate_languages(cap_floor(), {"en": 10, "de": 10, "fr": 10})


def test_the_natural_plan_takes_everything() -> None:
    assert allocate_languages(natural(), REAL) == REAL


def test_multinomial_shares_are_powers_of_the_sizes_and_end_with_the_language_that_runs_out_first() -> None:
    counts = allocate_languages(multinomial(), {"en": 10_000, "ja": 100})
    assert counts == {"en": 1_000, "ja": 100}
    with pytest.raises(ConfigurationError, match="ja has only 100"):
        allocate_languages(replace(multinomial(), rows=2_000), {"en": 10_000, "ja": 100})
    repeated = allocate_languages(replace(multinomial(), rows=2_200, max_repeats=2), {"en": 10_000, "ja": 100})
    assert repeated == {"en": 2_000, "ja": 200}


def test_unimax_shares_alike_until_a_language_has_been_seen_often_enough() -> None:
    counts = allocate_languages(replace(unimax(), rows=3_000), {"en": 10_000, "de": 5_000, "ja": 100})
    assert counts == {"en": 1_300, "de": 1_300, "ja": 400}


@given(
    st.lists(st.integers(1, 3_000), min_size=2, max_size=10),
    st.floats(0, 1),
    st.integers(1, 5),
    st.integers(1, 2_000),
)
def test_any_plan_that_is_given_adds_up_and_repeats_no_row_too_often(
    available: list[int], exponent: float, repeats: int, rows: int
) -> None:
    by_language = {f"l{i}": count for i, count in enumerate(available)}
    plan = BalancePlan(name="p", exponent=exponent, max_repeats=repeats, rows=rows)
    try:
        counts = allocate_languages(plan, by_language)
    except ConfigurationError as error:
        assert error.next_step  # noqa: PT017
        return
    assert sum(counts.values()) == rows
    assert all(count <= by_language[language] * repeats for language, count in counts.items())


def test_a_language_is_spread_over_its_locales_as_they_are() -> None:
    allocation = allocate(BalancePlan(name="p", rows=100), {("en", "US"): 600, ("en", "UK"): 300, ("de", "DE"): 100})
    assert allocation.cells == {("en", "US"): 60, ("en", "UK"): 30, ("de", "DE"): 10}
    assert "en" in allocation.describe()
    assert "90.00%" in allocation.describe()


def test_a_draw_that_is_one_row_off_is_refused() -> None:
    allocation = allocate(BalancePlan(name="p", rows=100), {("en", "US"): 600, ("de", "DE"): 400})
    verify_allocation(allocation, {("en", "US"): 60, ("de", "DE"): 40})
    with pytest.raises(GateRefusedError, match="en in US: 59, planned 60"):
        verify_allocation(allocation, {("en", "US"): 59, ("de", "DE"): 40})
    with pytest.raises(GateRefusedError, match="not planned"):
        verify_allocation(allocation, {("en", "US"): 60, ("de", "DE"): 40, ("fr", "FR"): 1})


def test_an_impossible_floor_is_explained_with_the_nearest_possible_plans() -> None:
    with pytest.raises(ConfigurationError) as error:
        allocate_languages(BalancePlan(name="p", cap=0.25, floor=0.05, rows=40_000), REAL)
    assert error.value.next_step == "ask for at most 17,600 rows, or lower the floor to 0.022, or set max_repeats to 3"


def test_a_plan_can_be_a_file_and_all_its_errors_are_named_at_once(tmp_path: Path) -> None:
    file = tmp_path / "mine.json"
    file.write_text(json.dumps({"cap": 0.5, "rows": 100}))
    assert read_plan(str(file)) == BalancePlan(name="mine", cap=0.5, rows=100)
    file.write_text(json.dumps({"plan": "unimax", "rows": 100, "unit": "tokens"}))
    assert read_plan(str(file)) == BalancePlan(name="mine", exponent=0.0, max_repeats=4, rows=100, unit="tokens")
    file.write_text(json.dumps({"roof": 1, "cap": "high", "plan": "even"}))
    with pytest.raises(ConfigurationError, match="unknown keys roof; plan is 'even'.*; .*cap is 'high'"):
        read_plan(str(file))
    with pytest.raises(ConfigurationError, match="cap is 2.*; floor is 3.*; unit is 'words'"):
        BalancePlan(name="p", cap=2, floor=3, unit="words")  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, -1, 10**40, True, "0.5", None, [1]], ids=repr)
def test_no_number_of_a_plan_takes_what_is_no_number_or_out_of_bounds(tmp_path: Path, value: object) -> None:
    names = ["cap", "floor", "exponent", "max_repeats"] + (["rows"] if value is not None else [])
    file = tmp_path / "mine.json"
    file.write_text(json.dumps(dict.fromkeys(names, value)))
    with pytest.raises(ConfigurationError) as error:
        read_plan(str(file))
    assert [name for name in names if f"{name} is {value!r}" not in str(error.value)] == []
