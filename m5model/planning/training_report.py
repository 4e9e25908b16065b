"""A training plan for people and for programs."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, fields

from m5model.planning.fleet import GB, Fleet, PriceTable
from m5model.planning.operations import count_operations
from m5model.planning.setup import PRECISIONS
from m5model.planning.training import TrainingPlan
from m5model.planning.wording import amount, dollars, duration, page, rows, table
from schemas.report import JsonValue


def as_json(plan: TrainingPlan, others: Sequence[TrainingPlan], prices: PriceTable) -> dict[str, JsonValue]:
    """All figures of the plan, then a line for each of the ``others``."""
    operations = count_operations(plan.shape, plan.work.texts)
    return {
        "plan": "train",
        "model": plan.shape.name,
        "parameters": plan.shape.parameters,
        "tokens": plan.work.tokens,
        "steps": plan.work.steps,
        "operations_per_token": operations.training / plan.work.texts.length,
        "forward_operations_per_sample": asdict(operations),
        **_line(plan),
        "setup": asdict(plan.setup),
        "device_memory_bytes": {**asdict(plan.memory), "total": plan.memory.total},
        "device_memory_share": plan.memory_share,
        "host_memory_bytes": plan.host_memory,
        "step_seconds": {**asdict(plan.step), "total": plan.step.total},
        "binds": plan.step.largest,
        "expected_failures": plan.failures.failures,
        "checkpoint_seconds": plan.failures.checkpoint,
        "checkpoint_every_seconds": plan.failures.interval,
        "young_interval_seconds": plan.failures.young if plan.failures.failures else None,
        "others": [dict(_line(other)) for other in others],
        "assumed": {**plan.assumed.as_json(), **{name: value for name, value in asdict(plan.work.texts).items() if value}},
        "price_table": prices.path,
        "prices_dated": plan.fleet.instance.dated,
    }


def as_text(plan: TrainingPlan, others: Sequence[TrainingPlan], prices: PriceTable) -> str:
    head = (
        f"Train {plan.shape.name} ({amount(plan.shape.parameters)} parameters) on {amount(plan.work.tokens)} tokens, "
        f"{plan.work.texts.length:g} tokens a sample"
    )
    sections = [
        (head, rows(_summary(plan))),
        ("A step", rows(_step(plan))),
        (f"Memory of a {plan.fleet.device.name}, GB", rows(_memory(plan))),
        ("Operations of a forward pass, share", rows(_operations(plan))),
    ]
    if others:
        lines = [_cells(one) for one in [plan, *others]]
        sections.append(("Cheapest of each kind", table(("fleet", "hours", "dollars", "peak used", "limited by"), lines)))
    return page(*sections, ("Assumed, not measured (change with --assume NAME=VALUE)", rows(_assumptions(plan, prices))))


def _line(plan: TrainingPlan) -> dict[str, JsonValue]:
    return {
        "fleet": f"{plan.fleet.instance.name}={plan.fleet.count}",
        "devices": plan.fleet.devices,
        "device": plan.fleet.device.name,
        "hours": plan.hours,
        "dollars": plan.dollars,
        "tokens_per_second": plan.tokens_per_s,
        "peak_used": plan.utilisation,
        "limited_by": plan.step.largest,
    }


def _cells(plan: TrainingPlan) -> tuple[str, ...]:
    return str(plan.fleet), f"{plan.hours:,.1f}", dollars(plan.dollars), f"{plan.utilisation:.0%}", plan.step.largest


def _summary(plan: TrainingPlan) -> Iterator[tuple[str, str]]:
    failures = plan.failures
    computing = plan.step.total * plan.work.steps / 3_600
    yield "fleet", str(plan.fleet)
    yield "setup", str(plan.setup)
    yield "time", f"{duration(plan.hours)}: {duration(computing)} of steps, the rest for checkpoints and failures"
    yield "cost", f"{dollars(plan.dollars)} at {_price(plan.fleet)}"
    yield "limited by", plan.binds
    yield "speed", f"{plan.tokens_per_s:,.0f} tokens/s, {plan.utilisation:.1%} of the fleet's peak"
    yield "failures", f"{failures.failures:,.2f} expected; one every {duration(failures.mean_between / 3_600)}"
    yield (
        "checkpoints",
        f"every {duration(failures.interval / 3_600)} ({failures.checkpoint:,.1f} s each; the square-root rule says "
        f"{duration(failures.young / 3_600)})",
    )


def _price(fleet: Fleet) -> str:
    return f"${fleet.dollars_per_hour:,.2f} an hour ({fleet.count:,} x ${fleet.dollars_per_instance_hour:,.2f})"


def _step(plan: TrainingPlan) -> Iterator[tuple[str, str]]:
    step, work = plan.step, plan.work
    yield "steps", f"{work.steps:,.0f} of {work.batch_tokens:,.0f} tokens"
    yield "seconds", f"{step.total:.3g}"
    for one in fields(step):
        value = getattr(step, one.name)
        yield one.name, f"{value:.3g} ({value / step.total:.0%})"


def _memory(plan: TrainingPlan) -> Iterator[tuple[str, str]]:
    for one in fields(plan.memory):
        yield one.name, f"{getattr(plan.memory, one.name) / GB:.2f}"
    yield "in all", f"{plan.memory.total / GB:.2f} of {plan.fleet.device.memory_gb:g} ({plan.memory_share:.0%})"
    if plan.host_memory:
        yield "on the host", f"{plan.host_memory / GB:.1f} of {plan.fleet.instance.host_memory_gb:g}"


def _operations(plan: TrainingPlan) -> Iterator[tuple[str, str]]:
    operations = count_operations(plan.shape, plan.work.texts)
    for one in fields(operations):
        yield one.name.replace("_", " "), f"{getattr(operations, one.name) / operations.forward:.1%}"
    per_token = operations.training / plan.work.texts.length
    rule = per_token / plan.shape.parameters
    yield "a token, with backward", f"{per_token:.3g} ({rule:.2f} a parameter; the usual rule says 6)"


def _assumptions(plan: TrainingPlan, prices: PriceTable) -> Iterator[tuple[str, str]]:
    for name, value in plan.assumed.as_json().items():
        yield name, f"{value:.4g}"
    bytes_each = PRECISIONS[plan.setup.precision]
    yield "bytes a parameter", f"{bytes_each[0]} weights, {bytes_each[1]} gradients, {bytes_each[2]} optimizer"
    instance, device = plan.fleet.instance, plan.fleet.device
    yield "price", f"{instance.source}, {instance.dated}{'; ' + instance.note if instance.note else ''}"
    yield "peak", f"{device.peak_tflops:g} TFLOPS: {device.source}, {device.dated}{'; ' + device.note if device.note else ''}"
    yield "price table", f"{prices.path}, compiled {prices.dated}"
