"""How a learner is computed: by one process, by several that each hold it whole (DDP), or that hold parts of it (FSDP2).

    torchrun --nproc-per-node 8 --max-restarts 3 jobs/train_model.py … --parallel fsdp

A process that dies takes the others with it; torchrun starts all again, and they go on from the last checkpoint. Checkpoints
hold whole tensors, so a run may go on with another number of processes. Gradients are means over processes; tasks that can
divide their batch say so by a method ``divide``, the encoder's rows of the others are divided (training.divided).
"""

import copy
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.fsdp import CPUOffloadPolicy, OffloadPolicy, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.nn.parallel import DistributedDataParallel

from m5model.tasks import AnyTask
from m5model.training.config import Machine
from m5model.training.learner import Learner
from m5model.training.processes import Processes

State = Mapping[str, Any]


class OneProcess:
    """The learner as it is."""

    def __init__(self, learner: Learner, processes: Processes) -> None:
        self.learner = learner
        self.processes = processes
        self.device = learner.encoder.device  # that computes; parts of weights may lie elsewhere
        self._forward: Callable[..., Tensor] = learner

    def loss(self, task: AnyTask, batch: Any, amp: torch.autocast) -> Tensor:
        """Returns the loss whose mean over all processes is that of the batch, each with its share of the work."""
        if self.processes.count > 1 and hasattr(task, "divide"):
            batch = task.divide(batch, self.processes.rank, self.processes.count)
        with amp:
            logits = self._forward(task, batch, self.processes)
        return task.loss(logits, batch)

    def weights(self) -> dict[str, Tensor]:
        """Returns whole tensors by name. All processes must ask."""
        return {name: _whole(tensor) for name, tensor in self.learner.state_dict().items()}

    def optimizer_state(self, optimizer: torch.optim.Optimizer) -> State:
        """Returns the same of the optimiser."""
        state = optimizer.state_dict()
        whole = {place: {name: _whole(value) for name, value in values.items()} for place, values in state["state"].items()}
        return {**state, "state": whole}

    def load_optimizer_state(self, optimizer: torch.optim.Optimizer, state: State) -> None:
        """Take up a state of whole tensors."""
        optimizer.load_state_dict(dict(state))

    def finish(self) -> Learner:
        """Returns the learner as one process has it, when training ends."""
        return self.learner


class Replicated(OneProcess):
    """Each process holds the learner whole; gradients are averaged while the backward pass still runs (DDP)."""

    def __init__(self, learner: Learner, processes: Processes) -> None:
        super().__init__(learner, processes)
        # A step trains one of the tasks: the heads of the others have no gradient.
        self._forward = DistributedDataParallel(learner, find_unused_parameters=True, broadcast_buffers=False)


class Sharded(OneProcess):
    """Each process holds a part of every weight and of its optimiser state; blocks are put together when it is their turn."""

    def __init__(self, learner: Learner, processes: Processes, *, offloads: bool) -> None:
        super().__init__(learner, processes)
        self._tasks = learner.tasks
        # Sharding changes modules for good: these are what they become again.
        self._plain = copy.deepcopy(learner.encoder).cpu()
        self._heads = {task.name: copy.deepcopy(task.head).cpu() for task in learner.tasks}
        # Memory is pinned for copies to a GPU; without one there is nothing to pin it for.
        policy = CPUOffloadPolicy(pin_memory=torch.cuda.is_available()) if offloads else OffloadPolicy()
        for block in learner.encoder.blocks:
            fully_shard(block, offload_policy=policy)
        fully_shard(learner, offload_policy=policy)

    def load_optimizer_state(self, optimizer: torch.optim.Optimizer, state: State) -> None:
        weights = [weight for group in optimizer.param_groups for weight in group["params"]]
        parts = {
            place: {name: _part(value, weights[place]) for name, value in values.items()}
            for place, values in state["state"].items()
        }
        optimizer.load_state_dict({**state, "state": parts})

    def finish(self) -> Learner:
        weights = self.weights()
        _load(self._plain, weights, "encoder.")
        for task in self._tasks:
            task.head = self._heads[task.name]
            _load(task.head, weights, f"heads.{task.name}.")
        return Learner(self._plain, self._tasks).to(self.device)


def arrange(learner: Learner, processes: Processes, machine: Machine) -> OneProcess:
    """Returns the learner as this machine is to compute it."""
    if machine.parallel == "fsdp" and torch.distributed.is_initialized():
        return Sharded(learner, processes, offloads=machine.offload)
    return Replicated(learner, processes) if processes.count > 1 else OneProcess(learner, processes)


def _whole(value: Any) -> Any:
    return value.full_tensor().cpu() if isinstance(value, DTensor) else value


def _part(value: Any, weight: Tensor) -> Any:
    """Returns the part of a whole tensor that lies where the part of its weight lies; counts of steps stay whole."""
    if isinstance(weight, DTensor) and isinstance(value, Tensor) and value.shape == weight.shape and value.ndim:
        return distribute_tensor(value.to(weight.device), weight.device_mesh, weight.placements)
    return value


def _load(module: nn.Module, weights: Mapping[str, Tensor], prefix: str) -> None:
    own = {name.removeprefix(prefix): tensor for name, tensor in weights.items() if name.startswith(prefix)}
    module.load_state_dict(own)
