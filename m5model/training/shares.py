"""How a mixture is shared out: the steps of a cycle for each task, and what its loss is multiplied by.

A table shows people both before a stage starts.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from m5model.tasks import AnyTask
from schemas.checks import is_number, is_whole, require

Scaling = Literal["fixed", "log_labels"]
SCALINGS = ("fixed", "log_labels")
# Steps of a cycle where rows decide: shares are exact to a hundredth, and no task waits longer than that.
CYCLE = 100


@dataclass(frozen=True, kw_only=True)
class TaskShare:
    """A task of a stage, and its part in the mixture. Raises ConfigurationError that lists every problem at once."""

    task: str  # a member of m5model.tasks, or a task that the run brings along
    settings: Any  # the Settings of that task
    steps: int = 1  # of a cycle; where the stage has a temperature, rows decide instead
    labels: str = ""  # the label set that it learns from, NAME/VERSION or NAME; none for tasks that need none
    scale: float = 1.0  # of its loss
    name: str = ""  # where a stage has one task several times, on several label sets; else the task's own

    def __post_init__(self) -> None:
        require(
            f"share of task {self.task}",
            {
                f"steps is {self.steps}, expected 1 or more": is_whole(self.steps, 1),
                f"scale is {self.scale}, expected above 0": is_number(self.scale, 0) and self.scale > 0,
                f"name is {self.name!r}, expected no dot in it": "." not in self.name,  # torch names modules with dots
            },
        )

    @property
    def key(self) -> str:
        """Returns the name of the task in the mixture, in checkpoints and in figures."""
        return self.name or self.task


@dataclass(frozen=True, kw_only=True)
class Mixing:
    """How the tasks of a stage are mixed. Raises ConfigurationError that lists every problem at once."""

    # 0: as the shares' steps say. Else a task's part is rows ** (1 / temperature): 1 is by rows, infinity would be all alike.
    temperature: float = 0.0
    scaling: Scaling = "fixed"  # log_labels: losses also by 1 / log(outcomes of a guess) (Muppet, Aghajanyan et al. 2021)

    def __post_init__(self) -> None:
        require(
            "mixing",
            {
                f"temperature is {self.temperature}, expected 0, or 1 or more": is_number(self.temperature, 0)
                and (self.temperature == 0 or self.temperature >= 1),
                f"scaling is {self.scaling!r}, expected one of {', '.join(SCALINGS)}": self.scaling in SCALINGS,
            },
        )

    def steps(self, shares: Sequence[TaskShare], rows: Sequence[int]) -> list[int]:
        """Returns steps of a cycle for each task."""
        if not self.temperature:
            return [share.steps for share in shares]
        return apportion([count ** (1 / self.temperature) for count in rows], max(CYCLE, len(rows)))

    def scale(self, share: TaskShare, task: AnyTask) -> float:
        """Returns the factor of the task's loss."""
        return share.scale / (math.log(max(2, task.outcomes)) if self.scaling == "log_labels" else 1.0)


def apportion(weights: Sequence[float], seats: int) -> list[int]:
    """Returns whole numbers that add up to ``seats``, at least 1 each, as near to the weights as can be (largest remainder)."""
    total = sum(weights)
    exact = [max(1.0, seats * weight / total) for weight in weights]
    exact = [value * seats / sum(exact) for value in exact]
    found = [max(1, math.floor(value)) for value in exact]
    by_rest = sorted(range(len(exact)), key=lambda place: (found[place] - exact[place], place))
    while sum(found) < seats:
        for place in by_rest[: seats - sum(found)]:
            found[place] += 1
    while sum(found) > seats:
        found[max(range(len(found)), key=lambda place: (found[place] - exact[place], found[place]))] -= 1
    return found


@dataclass(frozen=True, kw_only=True)
class PlannedTask:
    """A line of the schedule."""

    name: str
    rows: int  # examples
    steps: int  # of the run
    share: float  # of the run's steps
    scale: float  # of the loss
    epochs: float  # how often every example is seen
    labels: str = field(default="")

    def cells(self) -> tuple[str, ...]:
        numbers = (f"{self.rows:,}", f"{self.steps:,}", f"{self.share:.1%}", f"{self.scale:.3g}", f"{self.epochs:.2f}")
        return (self.name, *numbers, self.labels)


def describe(planned: Sequence[PlannedTask]) -> list[str]:
    """Returns the schedule as lines of a table."""
    lines = [("task", "rows", "steps", "share", "scale", "epochs", "labels"), *(one.cells() for one in planned)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
