"""Seconds of one optimizer step on a fleet, by part."""

import math
from dataclasses import dataclass, fields
from statistics import NormalDist

from m5model.planning.fleet import GB, Fleet
from m5model.planning.operations import BACKWARD, count_operations
from m5model.planning.setup import PRECISIONS, Assumptions, Setup, Workload
from m5model.planning.shape import Shape

BITS = 8


@dataclass(frozen=True, kw_only=True)
class StepTime:
    """Seconds, by part; they follow one another."""

    compute: float
    waiting: float  # for the slowest device
    communication: float  # what the backward pass does not hide
    optimizer: float
    offload: float

    @property
    def total(self) -> float:
        return sum(getattr(self, one.name) for one in fields(self))

    @property
    def largest(self) -> str:
        return max((one.name for one in fields(self)), key=lambda name: getattr(self, name))


def time_step(
    shape: Shape, work: Workload, setup: Setup, fleet: Fleet, assumed: Assumptions, samples_per_s: float | None = None
) -> StepTime:
    """``samples_per_s``: what one device was measured to compute; else its peak times the assumed efficiency says it."""
    rate = samples_per_s or device_rate(shape, work, setup, fleet, assumed)
    samples = math.ceil(work.batch_samples / fleet.devices)  # of a device: some wait where there are fewer samples than devices
    micro_batches = math.ceil(samples / setup.micro_batch)
    compute = samples / rate
    spread = assumed.device_spread * slowest_of(fleet.devices) / math.sqrt(micro_batches)
    backward = compute * BACKWARD / (1 + BACKWARD)
    hideable = assumed.overlap * (backward if setup.zero >= 2 else backward / micro_batches)
    communication = communicate(shape, setup, fleet, assumed, micro_batches)
    return StepTime(
        compute=compute,
        waiting=compute * spread,
        communication=max(0.0, communication - hideable),
        optimizer=_optimize(shape, setup, fleet, assumed),
        offload=_offload(shape, setup, fleet, assumed, micro_batches),
    )


def device_rate(shape: Shape, work: Workload, setup: Setup, fleet: Fleet, assumed: Assumptions) -> float:
    """Samples a second of one device while it computes. Checkpointing costs its extra forward pass."""
    operations = count_operations(shape, work.texts).computed(setup.checkpointing)
    return fleet.device.peak_tflops * 1e12 * assumed.efficiency / operations


def slowest_of(devices: int) -> float:
    """Expected largest of so many standard normal values (Blom 1958)."""
    return NormalDist().inv_cdf((devices - 0.375) / (devices + 0.25)) if devices > 1 else 0.0


def communicate(shape: Shape, setup: Setup, fleet: Fleet, assumed: Assumptions, micro_batches: int) -> float:
    """Seconds of all collectives of a step, nothing hidden: inside instances by their links, between them by the network.

    A collective is one reduce-scatter or all-gather of a whole set of weights or gradients.
    """
    weight, gradient, *_ = PRECISIONS[setup.precision]
    reduced = {0: 1, 1: 1, 2: micro_batches, 3: micro_batches}[setup.zero]
    gathered = 2 * micro_batches if setup.zero == 3 else 1
    size = shape.parameters * (gradient * reduced + (gradient if setup.zero == 0 else weight) * gathered)
    inside, between = fleet.instance.devices, fleet.count
    by_link = size * (inside - 1) / inside / (fleet.instance.link_gb_per_s * GB)
    by_network = size * (between - 1) / between / (fleet.instance.network_gbit_per_s / BITS * GB)
    return (by_link + by_network) / assumed.bandwidth_share


def _optimize(shape: Shape, setup: Setup, fleet: Fleet, assumed: Assumptions) -> float:
    touched = shape.parameters * assumed.optimizer_bytes
    if setup.offload != "none":  # the host's memory serves all devices of an instance
        return touched / (fleet.count if setup.zero >= 1 else 1) / (assumed.host_memory_gb_per_s * GB)
    parts = fleet.devices if setup.zero >= 1 else 1
    return touched / parts / (fleet.device.memory_gb_per_s * GB * assumed.bandwidth_share)


def _offload(shape: Shape, setup: Setup, fleet: Fleet, assumed: Assumptions, micro_batches: int) -> float:
    """Gradients go to the host and weights come back; with all offloaded, weights come for every pass."""
    weight, gradient, *_ = PRECISIONS[setup.precision]
    if setup.offload == "none":
        return 0.0
    passes = 2 * micro_batches if setup.offload == "all" else 1
    moved = shape.parameters * (gradient + weight * passes) / (fleet.devices if setup.zero >= 1 else 1)
    return moved / (assumed.host_gb_per_s * GB)
