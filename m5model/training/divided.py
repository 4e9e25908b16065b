"""An encoder whose rows are computed by several processes, each a part of them, and seen whole by all.

So any task's loss is that of the whole batch, also where it compares all its texts with each other: every process computes the
same loss of the same vectors. Tensor suffixes: B rows, L tokens, D hidden size.
"""

from typing import Any

import torch
from torch import Tensor, distributed

from m5model.encoders.encoder import TextEncoder
from m5model.training.processes import Processes


class DividedEncoder(TextEncoder):
    """``encoder`` with its rows divided among processes. It is made for a step and owns no weights."""

    def __init__(self, encoder: TextEncoder, processes: Processes) -> None:
        super().__init__()
        object.__setattr__(self, "_encoder", encoder)  # no submodule: weights belong to the encoder alone
        self._processes = processes

    def __getattr__(self, name: str) -> Any:
        return getattr(self._encoder, name)

    @property
    def token_table(self) -> Tensor:
        return self._encoder.token_table

    @property
    def hidden_size(self) -> int:
        return int(self._encoder.hidden_size)

    @property
    def device(self) -> torch.device:
        return self._encoder.device

    def hidden_states(self, ids_BL: Tensor, mask: Tensor) -> Tensor:
        own = self._own_rows(len(ids_BL), ids_BL.device)
        return self._join(self._encoder.hidden_states(ids_BL[own], mask[own]), len(ids_BL))

    def layer_states(self, ids_BL: Tensor, mask_BL: Tensor) -> tuple[Tensor, ...]:
        own = self._own_rows(len(ids_BL), ids_BL.device)
        return tuple(self._join(states, len(ids_BL)) for states in self._encoder.layer_states(ids_BL[own], mask_BL[own]))

    def vectors(self, ids_BL: Tensor, mask_BL: Tensor) -> Tensor:
        own = self._own_rows(len(ids_BL), ids_BL.device)
        return self._join(self._encoder.vectors(ids_BL[own], mask_BL[own]), len(ids_BL))

    def _own_rows(self, rows: int, device: torch.device) -> Tensor:
        """As many for each process; where rows run out the last one is computed again, and dropped."""
        each = -(-rows // self._processes.count)
        first = each * self._processes.rank
        return torch.arange(first, first + each, device=device).clamp(max=rows - 1)

    def _join(self, own: Tensor, rows: int) -> Tensor:
        joined: Tensor = _Join.apply(own, self._processes)  # type: ignore[no-untyped-call]
        return joined[:rows]


class _Join(torch.autograd.Function):
    """All processes' rows, one after the other."""

    @staticmethod
    def forward(ctx: Any, own: Tensor, processes: Processes) -> Tensor:  # type: ignore[override]
        ctx.processes = processes
        parts = [torch.empty_like(own) for _ in range(processes.count)]
        distributed.all_gather(parts, own.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]
        """Of this process's rows, times the count: each process has the whole loss, and gradients are averaged over them."""
        rows = len(gradients[0]) // ctx.processes.count
        first = rows * ctx.processes.rank
        return gradients[0][first : first + rows] * ctx.processes.count, None
