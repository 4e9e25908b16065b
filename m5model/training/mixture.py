"""Which task a step trains, and on which rows: a pure function of (seed, step), so that a restart needs no saved state.

Tasks take turns in cycles. In every cycle each task has as many steps as its share says; their order is drawn anew per cycle.
With one task, step N is its batch N.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from m5model.data.randomness import generator_for
from m5model.tasks import AnyTask
from m5model.training.order import BatchOrder
from schemas.checks import require


@dataclass(frozen=True, kw_only=True)
class Share:
    """A task and its part in a mixture."""

    task: AnyTask
    order: BatchOrder
    steps: int = 1  # of a cycle


@dataclass(frozen=True, kw_only=True)
class StepBatch:
    """The task and the rows of one step."""

    task: AnyTask
    rows: np.ndarray  # (B,) int64, of the task's examples

    @property
    def keys(self) -> np.ndarray:
        keys: np.ndarray = self.task.examples.keys[self.rows]
        return keys


class Mixture:
    """The batches of a training run. Raises ConfigurationError where there is no task, or two of one name."""

    def __init__(self, shares: Sequence[Share], seed: int = 0) -> None:
        names = [share.task.name for share in shares]
        require(
            "mixture",
            {
                "it has no task": bool(shares),
                f"tasks are {names}, expected different names": len(set(names)) == len(names),
                f"steps per cycle are {[share.steps for share in shares]}, expected 1 or more": all(
                    share.steps >= 1 for share in shares
                ),
            },
        )
        self._shares = tuple(shares)
        self._seed = seed
        self._turns = np.repeat(np.arange(len(shares)), [share.steps for share in shares])

    @property
    def tasks(self) -> tuple[AnyTask, ...]:
        return tuple(share.task for share in self._shares)

    def batch(self, step: int) -> StepBatch:
        """The task and the rows of ``step``, which counts from 0."""
        cycle, place = divmod(step, len(self._turns))
        turns = self._turns[generator_for("mixture", self._seed, cycle).permutation(len(self._turns))]
        share = self._shares[turns[place]]
        own_step = cycle * share.steps + int((turns[:place] == turns[place]).sum())
        return StepBatch(task=share.task, rows=share.order.rows(own_step))


def mix(tasks: Sequence[tuple[AnyTask, int]], content_hash: str, seed: int) -> Mixture:
    """A mixture of tasks and their steps per cycle, on the training set with that content hash."""
    return Mixture([Share(task=task, order=_order(task, content_hash), steps=steps) for task, steps in tasks], seed)


def _order(task: AnyTask, content_hash: str) -> BatchOrder:
    return BatchOrder(
        task.examples.lengths,
        content_hash=content_hash,
        seed=task.seed,
        token_budget=task.batching.token_budget,
        batch_rows=task.batching.batch_rows,
    )
