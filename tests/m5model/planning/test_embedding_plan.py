"""Plans of embedding: work by locale, fleets, refreshes and simulated sizes, against closed forms and the engine's settings."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from m5model.cli import main
from m5model.encoders.presets import PRESETS
from m5model.planning.embedding import (
    EmbeddingAssumptions,
    EmbeddingWish,
    cheapest_of_each,
    count_work,
    plan_with,
    seconds_of_text,
    stored_gb,
)
from m5model.planning.fleet import PriceTable, read_price_table
from m5model.planning.fleet_simulation import FleetSize, Trouble, simulate_sizes, stops_helping
from m5model.planning.profile import LocaleProfile, Profile, normalized, profile_of_lengths, read_profile
from m5model.planning.shape import find_shape
from m5model.planning.speed import (
    CALL_WORK,
    REFERENCE_FILE,
    STEP_WORK,
    Calibration,
    Speed,
    count_call,
    count_step,
    fit_speed,
    read_calibration,
    write_calibration,
)
from schemas.errors import ConfigurationError
from schemas.locales import LOCALES

STUDENT = find_shape("student-70m")
# Only products take time, a picosecond each: what a plan must come to is known.
PLAIN = Calibration(
    instructions="avx512-vnni",
    dated="2026-11-27",
    embedding=Speed(seconds_per={kind: 1e-12 * (kind == "products") for kind in CALL_WORK}, worst_fit=0.0, points=1),
    training=None,
    tokenizing=0.0,
)
NOTHING_LOST = EmbeddingAssumptions(
    core_scaling=1, busy_share=1, task_overhead=0, commit_seconds=0, start_minutes=0, scanned_bytes=0
)
EVEN = Profile(
    source="test", locales={"US": LocaleProfile(share=0.75, lengths={32: 1}), "DE": LocaleProfile(share=0.25, lengths={64: 1})}
)


@pytest.fixture(scope="module")
def prices() -> PriceTable:
    return read_price_table()


def test_time_is_multiply_adds_by_speed_by_cores_where_nothing_is_lost(prices: PriceTable) -> None:
    work = count_work(STUDENT, 1e9, EVEN, PLAIN)
    tokens = 0.75e9 * 32 + 0.25e9 * 64
    multiply_adds = tokens * 4 * (4 * 768**2 + 2 * 768 * 3_072)
    assert work.tokens == tokens
    assert work.core_seconds == pytest.approx(multiply_adds * 1e-12)
    plan = plan_with(EmbeddingWish(work=work, assumed=NOTHING_LOST), prices, PLAIN, prices.cpu_instance("c6i.32xlarge"), 10)
    assert plan.hours == pytest.approx(multiply_adds * 1e-12 / 640 / 3_600)
    assert plan.dollars == pytest.approx(plan.hours * 10 * 5.44)


def test_a_core_without_vnni_takes_longer_by_the_tables_ratio(prices: PriceTable) -> None:
    wish = EmbeddingWish(work=count_work(STUDENT, 1e9, EVEN, PLAIN), assumed=NOTHING_LOST)
    slow, quick = (plan_with(wish, prices, PLAIN, prices.cpu_instance(name), 1) for name in ("c6a.48xlarge", "c6i.32xlarge"))
    assert slow.hours * 96 * 0.32 == pytest.approx(quick.hours * 64)


def test_locales_add_up_to_all_listings_and_a_refresh_is_its_share_of_them() -> None:
    work = count_work(STUDENT, 22e9, read_profile(None), PLAIN)
    assert set(work.locales) == set(LOCALES)
    assert work.listings == pytest.approx(22e9)
    daily = work.share(0.01)
    assert daily.listings == pytest.approx(22e7) and daily.catalogue == 22e9
    assert daily.core_seconds == pytest.approx(work.core_seconds / 100)


def test_long_texts_are_cut_to_what_the_model_reads() -> None:
    long = Profile(source="test", locales={"US": LocaleProfile(share=1, lengths={100: 0.5, 10_000: 0.5})})
    work = count_work(STUDENT, 100, long, PLAIN)
    assert work.tokens == pytest.approx(50 * 100 + 50 * 512)


def test_assumed_waves_and_tasks_are_those_of_the_embed_job() -> None:
    from spark.embedding.embed import ROWS_PER_WAVE_AND_CORE
    from spark.embedding.engine import ARROW_ROWS

    assumed = EmbeddingAssumptions()
    assert (assumed.rows_per_wave_and_core, assumed.rows_per_task) == (ROWS_PER_WAVE_AND_CORE, ARROW_ROWS)


def test_the_cheapest_fleet_keeps_the_hours_and_one_instance_less_does_not(prices: PriceTable) -> None:
    wish = EmbeddingWish(work=count_work(STUDENT, 22e9, EVEN, PLAIN), hours=10)
    plans = cheapest_of_each(wish, prices, PLAIN, prices.measured())
    assert [plan.dollars for plan in plans] == sorted(plan.dollars for plan in plans)
    for plan in plans:
        assert plan.hours <= 10 < plan_with(wish, prices, PLAIN, plan.instance, plan.count - 1).hours


def test_plans_choose_by_themselves_only_cores_whose_speed_was_measured(prices: PriceTable) -> None:
    assert {one.instructions for one in prices.measured()} == {"avx512-vnni", "avx2"}


def test_spot_instances_cost_less_and_lose_some_time(prices: PriceTable) -> None:
    wish = EmbeddingWish(work=count_work(STUDENT, 22e9, EVEN, PLAIN))
    kept, spot = (
        plan_with(replace(wish, spot=one), prices, PLAIN, prices.cpu_instance("c6i.32xlarge"), 50) for one in (False, True)
    )
    assert spot.dollars == pytest.approx(kept.dollars * 0.38, rel=0.01)
    assert spot.hours > kept.hours and spot.interruptions > 0 == kept.interruptions


def test_vectors_of_22_billion_listings_take_what_their_floats_take() -> None:
    assert stored_gb(STUDENT, 22e9, replace(EmbeddingAssumptions(), row_bytes=0.0)) == pytest.approx(22e9 * 768 * 4 / 1e9)


def test_one_simulated_instance_takes_the_plans_time(prices: PriceTable) -> None:
    quiet = Trouble(straggler_share=0.0, skew=0.0)
    wish = EmbeddingWish(work=count_work(STUDENT, 1e9, EVEN, PLAIN))
    instance = prices.cpu_instance("c6i.32xlarge")
    for count in (1, 4):
        plan = plan_with(wish, prices, PLAIN, instance, count)
        simulated = simulate_sizes(plan, prices, wish.assumed, quiet, (count,), spot=False)[0]
        assert simulated.hours == pytest.approx(plan.hours, rel=0.01)


def test_fleets_stop_helping_where_waiting_outweighs_work(prices: PriceTable) -> None:
    wish = EmbeddingWish(work=count_work(STUDENT, 1e8, EVEN, PLAIN))
    plan = plan_with(wish, prices, PLAIN, prices.cpu_instance("c6i.32xlarge"), 1)
    sizes = simulate_sizes(plan, prices, wish.assumed, Trouble(), (1, 2, 4, 8, 16, 32, 64), spot=True)
    stop = stops_helping(sizes)
    assert stop is not None and 1 < stop.count < 64
    assert sizes[-1].dollars > 2 * sizes[0].dollars


def test_doubling_that_always_halves_never_stops_helping() -> None:
    sizes = [FleetSize(count=count, hours=8 / count, dollars=1, useful_share=1) for count in (1, 2, 4)]
    assert stops_helping(sizes) is None
    assert stops_helping([*sizes, FleetSize(count=8, hours=1.9, dollars=1, useful_share=1)]) == sizes[-1]


def test_a_fit_finds_the_coefficients_that_made_the_times() -> None:
    true = dict.fromkeys(CALL_WORK, 0.0) | {"products": 5e-12, "attention": 2e-11, "elements": 4e-10, "operators": 3e-4}
    shapes = [
        replace(STUDENT, layers=layers, hidden_size=hidden, intermediate_size=4 * hidden)
        for layers, hidden in ((2, 128), (3, 384), (2, 768))
    ]
    counted = [count_call(shape, 384 // length, length) for shape in shapes for length in (8, 32, 96, 192)]
    made = Speed(seconds_per=true, worst_fit=0, points=0)
    found = fit_speed([(work, made.of(work)) for work in counted])
    unseen = count_call(find_shape("mini"), 6, 64)
    assert found.worst_fit < 1e-6
    assert found.of(unseen) == pytest.approx(made.of(unseen), rel=1e-4)


def test_a_fit_has_no_coefficient_below_zero() -> None:
    shape = find_shape("mini")
    points = [(count_step(shape, rows, length), 1.0 / rows) for rows in (1, 8, 64) for length in (16, 128)]
    assert min(fit_speed(points).seconds_per.values()) >= 0


def test_a_full_call_costs_less_a_text_than_one_with_two_texts() -> None:
    kept = read_calibration(str(REFERENCE_FILE))
    assert seconds_of_text(STUDENT, 16, kept) < kept.embedding.of(count_call(STUDENT, 2, 16)) / 2


def test_the_calibration_that_comes_with_m5_predicts_within_reason() -> None:
    kept = read_calibration(str(REFERENCE_FILE))
    assert kept.instructions == "avx512-vnni"
    assert 3_000 < 64 / seconds_of_text(STUDENT, 64, kept) < 12_000  # tokens a second of a core: measured 5,500 to 6,400
    assert kept.training is not None and set(kept.training.seconds_per) == set(STEP_WORK)


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"instructions": "x", "dated": "y", "embedding": {}, "training": null}'])
def test_a_broken_calibration_is_refused_with_how_to_make_one(tmp_path: Path, content: str) -> None:
    (tmp_path / "c.json").write_text(content)
    with pytest.raises(ConfigurationError, match="m5 plan calibrate"):
        read_calibration(str(tmp_path / "c.json"))


def test_a_written_calibration_is_read_as_it_was(tmp_path: Path) -> None:
    write_calibration(tmp_path / "folder" / "c.json", PLAIN)
    assert read_calibration(str(tmp_path / "folder" / "c.json")) == PLAIN


def test_calls_of_the_engine_are_timed_for_every_length(monkeypatch: pytest.MonkeyPatch) -> None:
    from m5model.planning import engine_timing

    monkeypatch.setattr(engine_timing, "LENGTHS", (8, 16))
    points = engine_timing.time_engines([engine_timing.timed_preset(1, 64)], rounds=1, calls=2)
    assert [(point.length, point.rows) for point in points] == [(8, 48), (16, 24)]
    assert all(point.seconds > 0 for point in points)


def test_steps_of_training_are_timed_for_one_and_two_streams() -> None:
    from m5model.planning.training_timing import StepShape, time_steps

    shapes = [StepShape(preset=PRESETS[name], length=12, token_budget=48) for name in ("tiny", "tiny-cross")]
    points = time_steps(shapes, rounds=1, steps=2)
    assert [(point.shape.name, point.rows) for point in points] == [("tiny", 4), ("tiny-cross", 4)]
    assert all(point.seconds > 0 for point in points)


def test_a_profile_of_lengths_keeps_mean_and_shares() -> None:
    profile = profile_of_lengths("test", {"DE": [10, 20, 30], "US": [8] * 5, "FR": []}, {"DE": 30, "US": 10, "FR": 5})
    assert profile.locales["DE"].share == 0.75 and "FR" not in profile.locales
    assert profile.locales["DE"].mean_tokens == pytest.approx(20)


def test_a_workspace_gives_the_lengths_of_its_texts_in_its_students_tokens(trained, capsys: pytest.CaptureFixture[str]) -> None:
    from m5model.planning.profile import profile_of_workspace

    profile = profile_of_workspace(trained.workspace)
    assert set(profile.locales) <= set(LOCALES)
    assert sum(one.share for one in profile.locales.values()) == pytest.approx(1)
    assert trained.student.id in profile.source
    assert all(3 <= one.mean_tokens <= 64 for one in profile.locales.values())  # a few words, and two special tokens
    assert main(["plan", "embed", "--listings", "1e6", "--workspace", trained.workspace.root, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["profile"] == profile.source


def test_shares_that_are_given_hold_and_the_others_share_the_rest_as_before() -> None:
    three = normalized(
        "test", {code: LocaleProfile(share=share, lengths={8: 1}) for code, share in (("US", 2), ("DE", 1), ("FR", 1))}
    )
    changed = three.with_shares({"US": 0.2})
    assert {code: one.share for code, one in changed.locales.items()} == pytest.approx({"US": 0.2, "DE": 0.4, "FR": 0.4})
    with pytest.raises(ConfigurationError, match="add up to 1.5"):
        three.with_shares({"US": 0.9, "DE": 0.6})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{}", "cannot be read"),
        ('{"source": "s", "locales": {"XX": {"share": 1, "lengths": {"8": 1}}}}', "'XX' is no store front"),
        ('{"source": "s", "locales": {"US": {"share": -1, "lengths": {"8": 1}}}}', "share is -1"),
        ('{"source": "s", "locales": {"US": {"share": 1, "lengths": {}}}}', "no length"),
    ],
)
def test_a_broken_profile_is_refused_with_the_reason(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "p.json").write_text(content)
    with pytest.raises(ConfigurationError, match=message):
        read_profile(str(tmp_path / "p.json"))


COMMAND = ["plan", "embed", "--listings", "22e9"]


def test_the_page_names_every_locale_every_kind_and_every_assumption(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*COMMAND, "--hours", "24", "--spot"]) == 0
    page = capsys.readouterr().out
    for word in (
        *LOCALES,
        *read_price_table().cpu_instances,
        *EmbeddingAssumptions().as_json(),
        "Refresh of 1.0% a day",
        "storage",
    ):
        assert word in page


def test_json_of_a_plan_adds_up(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*COMMAND, "--instances", "c6i.32xlarge", "--count", "64", "--json"]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert plan["hours"] == pytest.approx(sum(plan["seconds"].values()) / 3_600)
    assert sum(one["listings"] for one in plan["locales"].values()) == pytest.approx(22e9)
    assert plan["refresh"]["dollars"] < plan["dollars"] / 20


@pytest.mark.parametrize(
    ("flags", "short", "nearest"),
    [
        (["--locales", "US", "XX"], "'XX' is no store front", "AE, BR"),
        (["--locales", "de"], "'de' is a language; write the store front: DE", "AE, BR"),
        (["--budget", "-2"], "more than the $-2", "--budget"),
        (["--hours", "24", "--budget", "10"], "more than the $10", "listings"),
        (["--hours", "0.01"], "no fleet of up to", "allow"),
        (["--instances", "x9"], "no CPU instance 'x9'", "c6i.32xlarge"),
        (["--shares", "US=much"], "expected CODE=SHARE", "US=0.4"),
        (["--profile", "p", "--workspace", "w"], "exclude each other", "change"),
        (["--assume", "busy_share=0"], "busy_share is 0", "change"),
        (["--model", "gpt"], "no model 'gpt'", "student-70m"),
    ],
)
def test_an_impossible_wish_is_answered_with_what_is_short_and_what_works(
    flags: list[str], short: str, nearest: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*COMMAND, *flags]) == 2
    said = capsys.readouterr().err
    assert short in said and nearest in said.partition("What to do")[2]


def test_a_negative_number_of_listings_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "embed", "--listings", "-5"]) == 2
    assert "listings is -5" in capsys.readouterr().err
