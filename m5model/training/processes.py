"""Several processes that train one model together, as torchrun starts them: which one this is, and how they wait."""

import atexit
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor, distributed

Value = TypeVar("Value")


@dataclass(frozen=True, kw_only=True)
class Processes:
    """The place of this process among those that train together. Alone it waits for nobody."""

    rank: int = 0
    count: int = 1

    @property
    def is_first(self) -> bool:
        """Is it the first one? That one writes: checkpoints, bundles, reports and the log."""
        return self.rank == 0

    def wait(self) -> None:
        """Until all are here."""
        if self.count > 1:
            distributed.barrier()

    def mean(self, value: Tensor) -> float:
        """Returns the mean of a scalar over all processes."""
        summed = value.detach().clone()
        if self.count > 1:
            distributed.all_reduce(summed)
        return float(summed) / self.count

    def share(self, value: Value | None) -> Value:
        """Returns what the first process has, in all of them."""
        box = [value]
        if self.count > 1:
            distributed.broadcast_object_list(box, src=0)
        return box[0]  # type: ignore[return-value]

    @contextmanager
    def first_goes_first(self) -> Iterator[None]:
        """Runs the block in the first process, then in the others, who find in the caches what it made."""
        if not self.is_first:
            self.wait()
        yield
        if self.is_first:
            self.wait()


def join_processes() -> Processes:
    """Returns this process among those that torchrun started; alone where it did not. Meets the others at the first call."""
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        return Processes()
    if not distributed.is_initialized():
        store, rank, count = next(distributed.rendezvous("env://"))
        # gloo also on GPUs, beside nccl: what is offloaded to the CPU is reduced there.
        backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
        distributed.init_process_group(backend, store=_own_part(store), rank=rank, world_size=count)
        atexit.register(distributed.destroy_process_group)
    return Processes(rank=distributed.get_rank(), count=distributed.get_world_size())


def _own_part(store: distributed.Store) -> distributed.Store:
    """Returns the part of torchrun's store that belongs to this start.

    torchrun keeps one store over all restarts, so a process that is started again could read the addresses of those that died.
    On several machines counts of restarts may differ; there give torchrun TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1.
    """
    if os.environ["LOCAL_WORLD_SIZE"] != os.environ["WORLD_SIZE"]:
        return store
    return distributed.PrefixStore(f"start-{os.environ['TORCHELASTIC_RESTART_COUNT']}", store)
