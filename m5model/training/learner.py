"""The model that is trained: an encoder, and beside it the head of every task."""

from collections.abc import Iterator, Sequence
from typing import Any

from torch import Tensor, nn

from m5model.encoders.encoder import TextEncoder
from m5model.tasks import AnyTask
from m5model.training.divided import DividedEncoder
from m5model.training.processes import Processes


class Learner(nn.Module):
    """One encoder and the tasks' heads, as one module for the optimiser and for checkpoints."""

    def __init__(self, encoder: TextEncoder, tasks: Sequence[AnyTask]) -> None:
        super().__init__()
        self.encoder = encoder
        self._tasks = tuple(tasks)
        self.heads = nn.ModuleDict({task.name: task.head for task in tasks})

    @property
    def tasks(self) -> tuple[AnyTask, ...]:
        return self._tasks

    def forward(self, task: AnyTask, batch: Any, processes: Processes) -> Tensor:
        """Returns the task's logits; where there are several processes, each computes some of the rows."""
        if processes.count > 1 and not hasattr(task, "divide"):
            return task.logits(DividedEncoder(self.encoder, processes), batch)
        return task.logits(self.encoder, batch)

    def parameters_in_order(self) -> Iterator[nn.Parameter]:
        """Returns all parameters, each head's own before the encoder's, and those of its layers after.

        The norm of all gradients is a sum of floats, whose last bit depends on the order of its terms: another order gives
        other weights.
        """
        for head in self.heads.values():
            yield from head.parameters(recurse=False)
        yield from self.encoder.parameters()
        for head in self.heads.values():
            for layer in head.children():
                yield from layer.parameters()
