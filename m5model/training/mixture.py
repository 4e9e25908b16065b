"""Says which task a step trains, and on which rows: a pure function of (seed, step), so that a restart needs no saved state.

Tasks take turns in cycles. In every cycle each task has as many steps as its share says; their order is drawn anew per cycle.
With one task, step N is its batch N.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from m5model.data.randomness import generator_for
from m5model.tasks import AnyTask
from m5model.training.order import BatchOrder
from m5model.training.shares import PlannedTask
from schemas.checks import require


@dataclass(frozen=True, kw_only=True)
class Share:
    """A task and its part in a mixture."""

    task: AnyTask
    order: BatchOrder
    steps: int = 1  # of a cycle
    scale: float = 1.0  # of the task's loss


@dataclass(frozen=True, kw_only=True)
class StepBatch:
    """The task and the rows of one step."""

    task: AnyTask
    rows: np.ndarray  # (B,) int64, of the task's examples
    scale: float = 1.0  # of the task's loss

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

    def plan(self, steps: int, labels: Mapping[str, str] | None = None) -> list[PlannedTask]:
        """Returns what each task has of a run of so many steps. ``labels`` says which label set a task learns from."""
        cycle = len(self._turns)
        whole, rest = divmod(steps, cycle)
        last = self._turns[generator_for("mixture", self._seed, whole).permutation(cycle)][:rest]
        counts = [whole * share.steps + int((last == place).sum()) for place, share in enumerate(self._shares)]
        return [
            PlannedTask(
                name=share.task.name,
                rows=len(share.task.examples.keys),
                steps=count,
                share=count / max(1, steps),
                scale=share.scale,
                epochs=count / share.order.batches_per_epoch,
                labels=(labels or {}).get(share.task.name, ""),
            )
            for share, count in zip(self._shares, counts, strict=True)
        ]

    def batch(self, step: int) -> StepBatch:
        """Returns the task and the rows of ``step``, which counts from 0."""
        cycle, place = divmod(step, len(self._turns))
        turns = self._turns[generator_for("mixture", self._seed, cycle).permutation(len(self._turns))]
        share = self._shares[turns[place]]
        own_step = cycle * share.steps + int((turns[:place] == turns[place]).sum())
        return StepBatch(task=share.task, rows=share.order.rows(own_step), scale=share.scale)


def mix(tasks: Sequence[tuple[AnyTask, int]], content_hash: str, seed: int, scales: Sequence[float] | None = None) -> Mixture:
    """Returns a mixture of tasks and their steps per cycle, on the training set with that content hash.

    ``scales`` are those of the tasks' losses, 1 each where there are none.
    """
    scaled = zip(tasks, scales or [1.0] * len(tasks), strict=True)
    shares = [Share(task=task, order=_order(task, content_hash), steps=steps, scale=scale) for (task, steps), scale in scaled]
    return Mixture(shares, seed)


def _order(task: AnyTask, content_hash: str) -> BatchOrder:
    return BatchOrder(
        task.examples.lengths,
        content_hash=content_hash,
        seed=task.seed,
        token_budget=task.batching.token_budget,
        batch_rows=task.batching.batch_rows,
    )
