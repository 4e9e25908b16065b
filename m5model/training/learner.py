"""The model that is trained: an encoder, and beside it the head of every task."""

from collections.abc import Iterator, Sequence

from torch import nn

from m5model.encoders.encoder import TextEncoder
from m5model.tasks import AnyTask


class Learner(nn.Module):
    """One encoder and the tasks' heads, as one module for the optimiser and for checkpoints."""

    def __init__(self, encoder: TextEncoder, tasks: Sequence[AnyTask]) -> None:
        super().__init__()
        self.encoder = encoder
        self.heads = nn.ModuleDict({task.name: task.head for task in tasks})

    def parameters_in_order(self) -> Iterator[nn.Parameter]:
        """All parameters, each head's own before the encoder's, and those of its layers after.

        The norm of all gradients is a sum of floats, whose last bit depends on the order of its terms: another order gives
        other weights.
        """
        for head in self.heads.values():
            yield from head.parameters(recurse=False)
        yield from self.encoder.parameters()
        for head in self.heads.values():
            for layer in head.children():
                yield from layer.parameters()
