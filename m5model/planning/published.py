"""Published runs that plans are compared with: DeepSpeed's four of BERT-large, and the two of the system of 2021."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from m5model.planning.fleet import Fleet, PriceTable
from m5model.planning.operations import Texts, operations_per_token
from m5model.planning.setup import Assumptions, Setup, Workload
from m5model.planning.shape import Shape, find_shape
from m5model.planning.step import time_step


@dataclass(frozen=True, kw_only=True)
class Phase:
    """A part of a run in which all samples have one length."""

    samples: float
    length: int  # tokens
    batch: int  # samples of an optimizer step
    micro_batch: int
    samples_per_s: float  # measured on one device


# deepspeed.ai, "BERT Pre-training" (2020): samples, batches and the rates of one V100. BERT masks 15% of tokens.
DEEPSPEED_PHASES = (
    Phase(samples=403e6, length=128, batch=65_536, micro_batch=64, samples_per_s=272),
    Phase(samples=20e6, length=512, batch=32_768, micro_batch=8, samples_per_s=52),
)
# The same page: hours on so many DGX-2 of 16 V100 each.
DEEPSPEED_HOURS = {1: 33 + 13 / 60, 4: 8 + 41 / 60, 16: 144 / 60, 64: 44 / 60}
# It reduced gradients after the backward pass (--delay_allreduce in its tutorial), so nothing was hidden.
DEEPSPEED_OVERLAP = 0.0


@dataclass(frozen=True, kw_only=True)
class Compared:
    """A published figure and ours."""

    fleet: str
    published_hours: float
    predicted_hours: float
    computing_hours: float  # from the rate of one device alone, nothing lost

    @property
    def error(self) -> float:
        return self.predicted_hours / self.published_hours - 1


def predict_deepspeed(table: PriceTable, assumed: Assumptions | None = None) -> list[Compared]:
    """The four runs from the rates of one GPU; no figure of the runs themselves is used."""
    settings = replace(assumed or Assumptions(), overlap=DEEPSPEED_OVERLAP)
    instance = table.instance("dgx-2")
    compared = []
    for count, hours in DEEPSPEED_HOURS.items():
        fleet = Fleet(instance=instance, device=table.device_of(instance), count=count, dollars_per_instance_hour=0.0)
        predicted = sum(_phase_hours(phase, fleet, settings) for phase in DEEPSPEED_PHASES)
        computing = sum(phase.samples / phase.samples_per_s for phase in DEEPSPEED_PHASES) / fleet.devices / 3_600
        compared.append(Compared(fleet=str(fleet), published_hours=hours, predicted_hours=predicted, computing_hours=computing))
    return compared


def _phase_hours(phase: Phase, fleet: Fleet, assumed: Assumptions) -> float:
    length = float(phase.length)
    work = Workload(tokens=phase.samples * length, batch_tokens=phase.batch * length, texts=Texts(length=length))
    setup = Setup(zero=0, micro_batch=phase.micro_batch)
    step = time_step(find_shape("bert-large"), work, setup, fleet, assumed, phase.samples_per_s)
    return step.total * work.steps / 3_600


@dataclass(frozen=True, kw_only=True)
class PaidRun:
    """A run of which the sources say the fleet and the sum, and perhaps the time."""

    instance: str
    count: int
    dollars: float
    hours: float | None


# reference.md: 1.5B parameters, 1.25 days and $2,100 on 96 p3dn.24xlarge, "or $2,800 on 16 p4d"; no time is said of the latter.
RUNS_OF_2021 = (
    PaidRun(instance="p3dn.24xlarge", count=96, dollars=2_100, hours=30),
    PaidRun(instance="p4d.24xlarge-2021", count=16, dollars=2_800, hours=None),
)


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """One triple of tokens, price and efficiency under which a run is as it was reported."""

    run: PaidRun
    tokens: float
    hours: float
    dollars_per_instance_hour: float
    price_share: float  # of the list price of that time
    efficiency: float  # of the peak


def explain_run(table: PriceTable, shape: Shape, texts: Texts, run: PaidRun, tokens: float, hours: float) -> Explanation:
    """The price and efficiency that ``tokens`` in ``hours`` mean."""
    instance = table.instance(run.instance)
    peak = run.count * instance.devices * table.device_of(instance).peak_tflops * 1e12
    price = run.dollars / run.count / hours
    return Explanation(
        run=run,
        tokens=tokens,
        hours=hours,
        dollars_per_instance_hour=price,
        price_share=price / instance.dollars_per_hour,
        efficiency=tokens * operations_per_token(shape, texts) / (peak * hours * 3_600),
    )


def explain_2021(
    table: PriceTable, shape: Shape, texts: Texts, tokens: Sequence[float], second_hours: Sequence[float]
) -> list[Explanation]:
    """The curve: for each number of tokens, the run whose time is known, and the other at each of ``second_hours``.

    Triples that need more than the peak are left out: they are impossible.
    """
    triples = [
        explain_run(table, shape, texts, run, count, hours)
        for count in tokens
        for run in RUNS_OF_2021
        for hours in ([run.hours] if run.hours else second_hours)
    ]
    return [triple for triple in triples if triple.efficiency <= 1]
