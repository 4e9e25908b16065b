"""From the shares of a stage to tasks with heads and labels, and to their mixture."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from torch import Tensor

import m5model.tasks
from m5model.data.label_sets import LabelSet
from m5model.encoders.encoder import TextEncoder
from m5model.tasks import AnyTask, TaskData
from m5model.training.config import Machine
from m5model.training.mixture import Mixture, mix
from m5model.training.shares import Mixing, TaskShare
from schemas.checks import require
from schemas.registry import load_member

TaskBuilder = Callable[[Any, TextEncoder, TaskData], AnyTask]
TaskBuilders = Mapping[str, TaskBuilder]  # of tasks that are no members of m5model.tasks
LabelSets = Mapping[str, LabelSet]  # by what shares call them
Head = Mapping[str, Tensor]  # a head's weights by name


def check_labels(shares: Iterable[TaskShare], label_sets: LabelSets, builders: TaskBuilders) -> None:
    """Refuse, all at once, shares whose label set is missing, of another kind than the task's, or not needed."""
    rules = {}
    for share in shares:
        if share.task in builders:
            continue
        needed = getattr(load_member(m5model.tasks, share.task, "task"), "LABELS", "")
        found = label_sets.get(share.labels)
        if share.labels and not found:
            rules[f"{share.key}: there is no label set {share.labels!r}"] = False
        elif needed or share.labels:
            kind = found.manifest.kind if found else "none"
            rules[f"{share.key}: expected a label set of kind {needed or 'none'}, found {kind}"] = kind == needed
    require("labels of the tasks", rules)


def build_task(
    share: TaskShare,
    encoder: TextEncoder,
    data: TaskData,
    label_sets: LabelSets,
    builders: TaskBuilders,
    heads: Mapping[str, Head],
) -> AnyTask:
    """Returns the task, with the head that there is of it already, where there is one."""
    build = builders.get(share.task) or load_member(m5model.tasks, share.task, "task").build
    labels = label_sets[share.labels] if share.labels else None
    task: AnyTask = build(share.settings, encoder, replace(data, labels=labels))
    task.name = share.key
    if share.key in heads:
        task.head.load_state_dict(dict(heads[share.key]))
    return task


def mix_shares(shares: Sequence[TaskShare], tasks: Sequence[AnyTask], mixing: Mixing, content_hash: str, seed: int) -> Mixture:
    """Returns the mixture of the tasks, built from these shares, on the training set with that content hash."""
    steps = mixing.steps(shares, [len(task.examples.keys) for task in tasks])
    scales = [mixing.scale(share, task) for share, task in zip(shares, tasks, strict=True)]
    return mix(list(zip(tasks, steps, strict=True)), content_hash, seed, scales)


def freeze(encoder: TextEncoder, prefixes: tuple[str, ...]) -> None:
    """Train all weights of the encoder but those whose names begin so. Raises ConfigurationError for one that it has not."""
    names = [name for name, _ in encoder.named_parameters()]
    rules = {f"the encoder has no weights {prefix}…": any(name.startswith(prefix) for name in names) for prefix in prefixes}
    require("frozen weights", rules)
    for name, parameter in encoder.named_parameters():
        parameter.requires_grad_(not (prefixes and name.startswith(prefixes)))


def fit_to(encoder: TextEncoder, machine: Machine) -> None:
    """Let the encoder save memory or be compiled, where the machine's settings say so."""
    if machine.save_memory:
        encoder.save_memory()
    for block in encoder.blocks if machine.compile else ():
        block.compile(dynamic=True)


def heads_of(tasks: Iterable[AnyTask]) -> dict[str, Head]:
    """Returns the weights of those heads that have any."""
    states = {task.name: task.head.state_dict() for task in tasks}
    return {name: {key: tensor.cpu() for key, tensor in state.items()} for name, state in states.items() if state}
