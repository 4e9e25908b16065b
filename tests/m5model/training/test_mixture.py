from collections import Counter

import numpy as np
import pytest

from m5model.tasks import Batching, Examples
from m5model.training.mixture import Mixture, mix
from m5model.training.order import BatchOrder
from schemas.errors import ConfigurationError


class Named:
    """As much of a task as a mixture looks at."""

    def __init__(self, name: str, rows: int = 40, seed: int = 0) -> None:
        self.name, self.seed = name, seed
        self.examples = Examples(keys=np.arange(rows) + 1_000, lengths=np.full(rows, 5))
        self.batching = Batching(batch_rows=4)


def _steps(mixture: Mixture, steps) -> list[tuple[str, list[int]]]:
    return [(batch.task.name, batch.rows.tolist()) for batch in map(mixture.batch, steps)]


def test_a_mixture_of_one_gives_that_tasks_batches_in_their_order() -> None:
    order = BatchOrder(np.full(40, 5), content_hash="c", seed=0, batch_rows=4)
    mixture = mix([(Named("a"), 1)], "c", seed=7)
    assert _steps(mixture, range(25)) == [("a", order.rows(step).tolist()) for step in range(25)]


def test_every_cycle_has_as_many_steps_of_a_task_as_its_share_says() -> None:
    mixture = mix([(Named("a"), 3), (Named("b"), 1)], "c", seed=7)
    for cycle in range(5):
        names = Counter(name for name, _ in _steps(mixture, range(4 * cycle, 4 * cycle + 4)))
        assert names == {"a": 3, "b": 1}


def test_a_task_sees_each_of_its_rows_once_an_epoch_whatever_it_is_mixed_with() -> None:
    mixture = mix([(Named("a"), 2), (Named("b", rows=12), 1)], "c", seed=7)
    rows = [row for name, batch in _steps(mixture, range(15)) if name == "a" for row in batch]
    assert sorted(rows) == list(range(40))


def test_a_step_is_the_same_whatever_was_asked_before_and_in_any_process() -> None:
    asked = [29, 0, 14, 29, 3]
    parts = [(Named("a"), 2), (Named("b"), 3)]
    assert _steps(mix(parts, "c", seed=7), asked) == [_steps(mix(parts, "c", seed=7), [step])[0] for step in asked]


def test_another_seed_gives_another_order_of_tasks() -> None:
    parts = [(Named("a"), 5), (Named("b"), 5)]
    names = [[name for name, _ in _steps(mix(parts, "c", seed=seed), range(20))] for seed in (1, 2)]
    assert names[0] != names[1]


def test_a_mixture_of_nothing_or_of_two_tasks_of_one_name_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="it has no task"):
        Mixture([])
    with pytest.raises(ConfigurationError, match=r"expected different names.*expected 1 or more"):
        mix([(Named("a"), 1), (Named("a"), 0)], "c", seed=0)
