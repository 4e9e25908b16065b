"""Simulates the fleet of an embedding plan at several sizes, and finds where more instances stop helping. Needs simpy."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from m5model.planning.embedding import EmbeddingAssumptions, EmbeddingPlan, count_executors
from m5model.planning.failures import interruptions_per_hour
from m5model.planning.fleet import PriceTable
from m5model.planning.simulator import Executors, Work, equal_tasks, simulate

# Of a wave. A real one has more: so many show how it ends, and large fleets can be simulated.
MOST_TASKS = 40_000
FEWEST_TASKS = 4_000  # that small fleets are simulated for, in several waves: chance evens out
HELPS = 0.20  # a doubled fleet that saves less of the time no longer helps


@dataclass(frozen=True, kw_only=True)
class Trouble:
    """Assumes how unlike tasks and executors are."""

    straggler_share: float = 0.01  # of attempts
    straggler_factor: float = 3.0  # how much longer they take
    skew: float = 0.05  # standard deviation of a task's work, as a share of it
    speculation: float = 1.0  # 1: slow tasks are copied at the end of a wave; 0: not

    def as_json(self) -> dict[str, float]:
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class FleetSize:
    """A simulated run."""

    count: int
    hours: float
    dollars: float
    useful_share: float  # of what executors did


def simulate_sizes(
    plan: EmbeddingPlan,
    prices: PriceTable,
    assumed: EmbeddingAssumptions,
    trouble: Trouble,
    counts: Sequence[int],
    *,
    spot: bool,
) -> list[FleetSize]:
    """``plan``'s work on fleets of ``counts`` instances of its kind."""
    return [_simulate(plan, prices, assumed, trouble, count, spot) for count in counts]


def stops_helping(sizes: Sequence[FleetSize]) -> FleetSize | None:
    """Of sizes that double, the first one whose double saves less than a fifth of the time; None where all help."""
    for smaller, larger in zip(sizes, sizes[1:], strict=False):
        if larger.hours > smaller.hours * (1 - HELPS):
            return smaller
    return None


def _simulate(
    plan: EmbeddingPlan, prices: PriceTable, assumed: EmbeddingAssumptions, trouble: Trouble, count: int, spot: bool
) -> FleetSize:
    rows = plan.work.listings
    wave_rows = min(rows, assumed.rows_per_wave_and_core * plan.instance.cores * count)
    executors = count_executors(plan.instance, count, assumed)
    each = math.ceil(wave_rows / assumed.rows_per_task / executors)  # tasks of an executor in a wave
    simulated = min(each, max(2, MOST_TASKS // executors))
    seconds = plan.model * plan.count / count * wave_rows / rows / simulated
    waves = min(math.ceil(rows / wave_rows), math.ceil(FEWEST_TASKS / (simulated * executors)))
    work = Work(
        waves=equal_tasks(waves, simulated * executors, seconds, trouble.skew),
        commit=assumed.commit_seconds,
        overhead=assumed.task_overhead * each / simulated,
    )
    rate = interruptions_per_hour(prices.spot.interrupted_per_month) if spot else 0.0
    fleet = Executors(
        speeds=(1.0,) * executors,
        failures_per_hour=rate,
        restart=assumed.replace_minutes * 60,
        straggler_share=trouble.straggler_share,
        straggler_factor=trouble.straggler_factor,
        speculation=trouble.speculation > 0,
    )
    run = simulate(work, fleet)
    scan = plan.scan * plan.count / count
    hours = (run.seconds / waves * rows / wave_rows + scan + assumed.start_minutes * 60) / 3_600
    return FleetSize(
        count=count,
        hours=hours,
        dollars=hours * count * plan.dollars_per_instance_hour,
        useful_share=run.useful_share,
    )
