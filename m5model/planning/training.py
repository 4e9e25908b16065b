"""A training plan: one model on one fleet, with its setup: steps, hours, dollars, memory, and what binds."""

from dataclasses import dataclass, replace

from m5model.planning.failures import FailurePlan, interruptions_per_hour, plan_failures
from m5model.planning.fleet import GB, Fleet, Instance, PriceTable
from m5model.planning.memory import DeviceMemory, memory_on_device, memory_on_host
from m5model.planning.operations import operations_per_token
from m5model.planning.setup import PRECISIONS, Assumptions, Setup, Workload
from m5model.planning.shape import Shape
from m5model.planning.step import StepTime, time_step

LARGEST_MICRO_BATCH = 1_024
LIMITS = {
    "compute": "arithmetic: only more, quicker or better used devices help",
    "waiting": "waiting for the slowest device: larger batches or fewer devices help",
    "communication": "communication: a quicker network, larger batches or fewer instances help",
    "optimizer": "the optimizer's memory traffic: ZeRO-1 or larger batches help",
    "offload": "moving data between host and device: more devices without offloading help",
}


@dataclass(frozen=True, kw_only=True)
class TrainingPlan:
    """States what a run takes."""

    shape: Shape
    work: Workload
    fleet: Fleet
    setup: Setup
    assumed: Assumptions
    memory: DeviceMemory
    host_memory: float  # bytes of each instance
    step: StepTime
    failures: FailurePlan

    @property
    def hours(self) -> float:
        """Expected, with checkpoints and failures."""
        return self.failures.total / 3_600

    @property
    def dollars(self) -> float:
        return self.hours * self.fleet.dollars_per_hour

    @property
    def tokens_per_s(self) -> float:
        return self.work.batch_tokens / self.step.total

    @property
    def utilisation(self) -> float:
        """Operations that the model needs, as a share of what the fleet could do in a step."""
        return self.tokens_per_s * operations_per_token(self.shape, self.work.texts) / self.fleet.peak_flops

    @property
    def memory_share(self) -> float:
        return self.memory.total / (self.fleet.device.memory_gb * GB)

    @property
    def binds(self) -> str:
        return LIMITS[self.step.largest]


def rent(table: PriceTable, instance: Instance, count: int, *, spot: bool, assumed: Assumptions) -> Fleet:
    """``count`` instances at the table's price; spot instances are also interrupted."""
    interrupted = interruptions_per_hour(table.spot.interrupted_per_month) if spot else 0.0
    return Fleet(
        instance=instance,
        device=table.device_of(instance),
        count=count,
        dollars_per_instance_hour=instance.dollars_per_hour * (table.spot.price_share if spot else 1.0),
        failures_per_instance_hour=assumed.failures_per_device_hour * instance.devices + interrupted,
    )


def plan_training(
    shape: Shape, work: Workload, fleet: Fleet, setup: Setup, assumed: Assumptions, samples_per_s: float | None = None
) -> TrainingPlan:
    """Plan the run, whether it fits or not: ``shortage`` says that."""
    step = time_step(shape, work, setup, fleet, assumed, samples_per_s)
    _, _, optimizer, _ = PRECISIONS[setup.precision]
    written = shape.parameters * optimizer / fleet.count / (assumed.storage_gb_per_s * GB)
    failures = plan_failures(
        step.total * work.steps,
        fleet.failures_per_instance_hour * fleet.count,
        checkpoint=written,
        restart=assumed.restart_minutes * 60,
    )
    return TrainingPlan(
        shape=shape,
        work=work,
        fleet=fleet,
        setup=setup,
        assumed=assumed,
        memory=memory_on_device(shape, work.texts, setup, fleet.devices, assumed),
        host_memory=memory_on_host(shape, setup, fleet),
        step=step,
        failures=failures,
    )


def shortage(shape: Shape, work: Workload, fleet: Fleet, setup: Setup, assumed: Assumptions) -> tuple[float, float]:
    """Bytes that are missing on a device and on its host; zeros where the run fits."""
    needed = memory_on_device(shape, work.texts, setup, fleet.devices, assumed).total
    on_host = memory_on_host(shape, setup, fleet)
    missing = needed - fleet.device.memory_gb * GB, on_host - fleet.instance.host_memory_gb * GB
    return max(0.0, missing[0]), max(0.0, missing[1])


def fits(shape: Shape, work: Workload, fleet: Fleet, setup: Setup, assumed: Assumptions) -> bool:
    return shortage(shape, work, fleet, setup, assumed) == (0.0, 0.0)


def largest_fitting(shape: Shape, work: Workload, fleet: Fleet, setup: Setup, assumed: Assumptions) -> Setup | None:
    """``setup`` with the largest micro-batch (a power of two) that fits; None where one sample does not fit."""
    fitting = None
    size = 1
    while size <= LARGEST_MICRO_BATCH:
        candidate = replace(setup, micro_batch=size)
        if not fits(shape, work, fleet, candidate, assumed):
            break
        fitting = candidate
        if size * fleet.devices >= work.batch_samples:  # a larger one would not be filled
            break
        size *= 2
    return fitting
