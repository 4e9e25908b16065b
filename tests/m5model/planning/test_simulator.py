"""The simulated fleet against closed forms, and what failures, stragglers and copies of tasks do to it."""

import math

import pytest

from m5model.planning.simulator import Executors, Simulated, Work, equal_tasks, simulate
from schemas.errors import ConfigurationError

UNEVEN = (3.0, 1.0, 4.0, 1.0, 5.0, 9.0, 2.0, 6.0)


def _run(waves: tuple[tuple[float, ...], ...], count: int, **settings: float) -> Simulated:
    return simulate(Work(waves=waves), Executors(speeds=(1.0,) * count, **settings))


def test_one_executor_takes_the_sum_of_its_tasks_and_commits_exactly() -> None:
    work = Work(waves=(UNEVEN, UNEVEN), commit=2.5, overhead=0.25)
    run = simulate(work, Executors(speeds=(2.0,)))
    assert run.seconds == pytest.approx(2 * (sum(UNEVEN) / 2 + len(UNEVEN) * 0.25 + 2.5), rel=1e-12)
    assert run.wasted == run.failures == run.copies == 0


@pytest.mark.parametrize("executors", [1, 2, 3, 7, 10, 11, 64])
def test_equal_tasks_on_equal_executors_take_whole_rounds(executors: int) -> None:
    run = _run(equal_tasks(3, 10, 7.0), executors)
    assert run.seconds == pytest.approx(3 * math.ceil(10 / executors) * 7.0, rel=1e-12)
    assert run.busy == pytest.approx(3 * 10 * 7.0)


def test_small_tasks_share_out_by_speed() -> None:
    speeds = (1.0, 0.5, 0.32)
    run = simulate(Work(waves=equal_tasks(1, 4_000, 1.0)), Executors(speeds=speeds))
    assert run.seconds == pytest.approx(4_000 / sum(speeds), rel=2e-3)


def test_skew_keeps_the_sum_and_lengthens_the_end() -> None:
    waves = equal_tasks(1, 64, 10.0, skew=1.0)
    assert sum(waves[0]) == pytest.approx(640)
    assert _run(waves, 64).seconds == max(waves[0]) > 10
    assert _run(waves, 1).seconds == pytest.approx(640)


def test_failures_cost_what_the_exponential_law_says() -> None:
    rate, task, restart = 1 / 50, 20.0, 5.0  # a second
    run = _run(equal_tasks(1, 20_000, task), 1, failures_per_hour=rate * 3_600, restart=restart)
    each = math.expm1(rate * task) * (1 / rate + restart)
    assert run.seconds == pytest.approx(20_000 * each, rel=0.02)
    assert run.failures == pytest.approx(20_000 * math.expm1(rate * task), rel=0.03)
    assert run.busy == pytest.approx(20_000 * task)


def test_every_task_counts_once_however_often_it_was_tried() -> None:
    settings = {"failures_per_hour": 60.0, "restart": 3.0, "straggler_share": 0.1, "straggler_factor": 8.0}
    executors = Executors(speeds=(1.0,) * 5 + (0.5,) * 4, speculation=True, **settings)
    run = simulate(Work(waves=((10.0,) * 100,) * 2), executors)
    assert run.failures > 0 and run.copies > 0
    spent = run.busy + run.wasted + run.failures * 3.0
    assert spent <= 9 * run.seconds + 1e-6  # nobody does two things at once
    assert run.busy >= 2 * 100 * 10.0


def test_copies_of_slow_tasks_shorten_the_end_of_a_wave_and_cost_work() -> None:
    waves = equal_tasks(10, 64, 10.0)
    stragglers = {"straggler_share": 0.05, "straggler_factor": 20.0}
    without = simulate(Work(waves=waves), Executors(speeds=(1.0,) * 16, **stragglers))
    copied = simulate(Work(waves=waves), Executors(speeds=(1.0,) * 16, speculation=True, **stragglers))
    assert copied.seconds < without.seconds / 1.5
    assert copied.copies > 0 and copied.wasted > 0 == without.wasted


def test_speculation_copies_nothing_where_nobody_is_slow() -> None:
    settings = Executors(speeds=(1.0,) * 8, speculation=True)
    assert simulate(Work(waves=equal_tasks(2, 50, 3.0)), settings).copies == 0


def test_one_seed_is_one_run_and_another_seed_another() -> None:
    executors = Executors(speeds=(1.0,) * 4, failures_per_hour=30.0, restart=1.0)
    work = Work(waves=equal_tasks(2, 50, 10.0, skew=0.3))
    assert simulate(work, executors, 1) == simulate(work, executors, 1) != simulate(work, executors, 2)


def test_settings_that_mean_nothing_are_refused_all_at_once() -> None:
    with pytest.raises(ConfigurationError, match="no executor; .*straggler_share is 2"):
        Executors(speeds=(), straggler_share=2.0)
    with pytest.raises(ConfigurationError, match="no task"):
        Work(waves=((),))
