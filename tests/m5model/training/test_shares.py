"""How a mixture is shared out: by steps or by rows, with what scale of the loss, and in a schedule that says so."""

import math

import numpy as np
import pytest

from m5model.tasks import Batching, Examples
from m5model.training.mixture import mix
from m5model.training.shares import Mixing, TaskShare, apportion, describe
from schemas.errors import ConfigurationError


class Named:
    """As much of a task as a mixture looks at."""

    def __init__(self, name: str, rows: int, outcomes: int = 2) -> None:
        self.name, self.seed, self.outcomes = name, 0, outcomes
        self.examples = Examples(keys=np.arange(rows), lengths=np.full(rows, 5))
        self.batching = Batching(batch_rows=4)


SHARES = [TaskShare(task="a", settings=None, steps=3), TaskShare(task="b", settings=None)]


def test_without_a_temperature_the_shares_own_steps_hold() -> None:
    assert Mixing().steps(SHARES, [10_000, 10]) == [3, 1]


def test_a_temperature_of_one_shares_by_rows_and_a_higher_one_less_so() -> None:
    assert Mixing(temperature=1).steps(SHARES, [900, 100]) == [90, 10]
    assert Mixing(temperature=2).steps(SHARES, [900, 100]) == [75, 25]
    assert Mixing(temperature=1000).steps(SHARES, [900, 100]) == [50, 50]


@pytest.mark.parametrize("weights", [[1], [1e9, 1, 1], [5, 3, 2], [1] * 7, [0.5, 1e-9]])
@pytest.mark.parametrize("seats", [7, 100])
def test_seats_are_all_given_and_everyone_has_one(weights: list[float], seats: int) -> None:
    found = apportion(weights, seats)
    assert sum(found) == seats and min(found) >= 1


def test_log_labels_divides_a_loss_by_that_of_a_blind_guess() -> None:
    mixing, share = Mixing(scaling="log_labels"), TaskShare(task="a", settings=None, scale=2.0)
    assert mixing.scale(share, Named("a", 4, outcomes=100)) == pytest.approx(2 / math.log(100))
    assert Mixing().scale(share, Named("a", 4, outcomes=100)) == 2.0


def test_the_schedule_counts_what_the_run_really_does() -> None:
    mixture = mix([(Named("a", 40), 3), (Named("b", 12), 1)], "c", seed=7, scales=[1.0, 0.5])
    for steps in (0, 1, 6, 25):
        names = [mixture.batch(step).task.name for step in range(steps)]
        planned = mixture.plan(steps, {"b": "set/1"})
        assert {one.name: one.steps for one in planned} == {"a": names.count("a"), "b": names.count("b")}
    assert [one.epochs for one in planned] == [planned[0].steps / 10, planned[1].steps / 3]
    assert describe(planned)[2].split() == ["b", "12", "7", "28.0%", "0.5", "2.33", "set/1"]
    assert mixture.batch(0).scale in (1.0, 0.5)


def test_all_wrong_values_are_named_at_once() -> None:
    with pytest.raises(ConfigurationError, match=r"temperature is 0.5.*scaling is 'x'"):
        Mixing(temperature=0.5, scaling="x")  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match=r"steps is 0.*scale is 0.*name is 'a.b'"):
        TaskShare(task="a", settings=None, steps=0, scale=0, name="a.b")
