"""Finds the setup that trains quickest on a fleet, and the cheapest fleet that trains in a given time and for a given sum."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from m5model.planning.fewest import find_fewest
from m5model.planning.fleet import GB, Fleet, Instance, PriceTable
from m5model.planning.setup import OFFLOADS, Assumptions, Setup, Workload
from m5model.planning.shape import Shape
from m5model.planning.training import TrainingPlan, largest_fitting, plan_training, rent, shortage
from schemas.errors import ConfigurationError

MOST_INSTANCES = 1_024


@dataclass(frozen=True, kw_only=True)
class Choice:
    """Names what the search may choose among."""

    zeros: tuple[int, ...] = (0, 1, 2, 3)
    offloads: tuple[str, ...] = ("none",)
    checkpointing: tuple[bool, ...] = (False, True)
    precision: str = "mixed"

    def setups(self) -> Iterator[Setup]:
        for offload in self.offloads:
            for zero in self.zeros:
                for checkpointing in self.checkpointing:
                    yield Setup(zero=zero, offload=offload, checkpointing=checkpointing, precision=self.precision)


@dataclass(frozen=True, kw_only=True)
class Wish:
    """States what a user wants of a run; None where it does not matter."""

    shape: Shape
    work: Workload
    hours: float | None = None
    dollars: float | None = None
    spot: bool = False
    choice: Choice = Choice()
    assumed: Assumptions = Assumptions()
    tokens_per_s: float | None = None  # of one device, measured

    @property
    def samples_per_s(self) -> float | None:
        return self.tokens_per_s / self.work.texts.length if self.tokens_per_s else None


def quickest(wish: Wish, fleet: Fleet) -> TrainingPlan | None:
    """The quickest setup that fits, the simplest of equals; None where nothing fits."""
    fitting = (largest_fitting(wish.shape, wish.work, fleet, setup, wish.assumed) for setup in wish.choice.setups())
    plans = [plan_training(wish.shape, wish.work, fleet, setup, wish.assumed, wish.samples_per_s) for setup in fitting if setup]
    return min(plans, key=lambda plan: (plan.hours, plan.setup.zero), default=None)


def plan_on(wish: Wish, fleet: Fleet) -> TrainingPlan:
    """The plan on this very fleet. Raises ConfigurationError that says what is short and the nearest that works."""
    plan = quickest(wish, fleet)
    if plan is None:
        raise ConfigurationError(_too_little(wish, fleet), next_step=_nearest(wish, fleet))
    missed = [f"{wish.hours:,.1f} h"] if wish.hours is not None and plan.hours > wish.hours else []
    missed += [f"${wish.dollars:,.0f}"] if wish.dollars is not None and plan.dollars > wish.dollars else []
    if missed:
        raise ConfigurationError(
            f"{wish.shape.name} on {fleet} takes {plan.hours:,.1f} h and ${plan.dollars:,.0f}; wanted: at most "
            f"{' and '.join(missed)}",
            next_step="leave --fleet out, and the cheapest fleet is looked for; or " + affordable(wish, plan),
        )
    return plan


def cheapest_of_each(wish: Wish, table: PriceTable, instances: Sequence[Instance]) -> list[TrainingPlan]:
    """For every kind of instance the cheapest plan within the wished hours, cheapest first; kinds without one are left out."""
    plans = (_cheapest(wish, table, instance) for instance in instances)
    return sorted((plan for plan in plans if plan), key=lambda plan: plan.dollars)


def find_cheapest(wish: Wish, table: PriceTable, instances: Sequence[Instance]) -> list[TrainingPlan]:
    """As ``cheapest_of_each``. Raises ConfigurationError where nothing keeps hours and dollars."""
    plans = cheapest_of_each(wish, table, instances)
    if not plans:
        raise ConfigurationError(
            f"no fleet of up to {MOST_INSTANCES:,} instances trains {wish.shape.name}{_within(wish)}",
            next_step=_nearest_time(wish, table, instances),
        )
    if wish.dollars is not None and plans[0].dollars > wish.dollars:
        best = plans[0]
        raise ConfigurationError(
            f"the cheapest plan for {wish.shape.name}{_within(wish)} costs ${best.dollars:,.0f} on {best.fleet}, "
            f"${best.dollars - wish.dollars:,.0f} more than the ${wish.dollars:,.0f} that there are",
            next_step=affordable(wish, best) + _slower(wish, table, instances),
        )
    return plans


def affordable(wish: Wish, plan: TrainingPlan) -> str:
    """The tokens that the wish's money and hours pay for on the plan's fleet, as advice."""
    shares = [wish.dollars / plan.dollars] if wish.dollars is not None and plan.dollars else []
    shares += [wish.hours / plan.hours] if wish.hours is not None else []
    share = min(shares, default=1.0)
    if share <= 0:
        return f"give at least --budget {math.ceil(plan.dollars)} and --hours {math.ceil(plan.hours)}"
    return f"train on {share * plan.work.tokens:.3g} tokens instead of {plan.work.tokens:.3g}"


def _cheapest(wish: Wish, table: PriceTable, instance: Instance) -> TrainingPlan | None:
    """The fewest that keep the time, as fewer wait and communicate less."""
    return find_fewest(lambda count: _in_time(wish, table, instance, count), MOST_INSTANCES)


def _in_time(wish: Wish, table: PriceTable, instance: Instance, count: int) -> TrainingPlan | None:
    plan = quickest(wish, rent(table, instance, count, spot=wish.spot, assumed=wish.assumed))
    return plan if plan and (wish.hours is None or plan.hours <= wish.hours) else None


def _within(wish: Wish) -> str:
    return f" on {wish.work.tokens:.3g} tokens" + (f" within {wish.hours:,.1f} h" if wish.hours is not None else "")


def _nearest_time(wish: Wish, table: PriceTable, instances: Sequence[Instance]) -> str:
    """The quickest plan of all sizes of fleet, as advice."""
    counts = [2**power for power in range(int(math.log2(MOST_INSTANCES)) + 1)]
    fleets = (rent(table, one, count, spot=wish.spot, assumed=wish.assumed) for one in instances for count in counts)
    plans = [plan for plan in (quickest(wish, fleet) for fleet in fleets) if plan]
    if not plans:
        return "allow --offload optimizer or --offload all, or choose a smaller model"
    best = min(plans, key=lambda plan: plan.hours)
    more = "" if wish.hours is None else f"; or {affordable(wish, best)}; or raise --batch-tokens"
    return f"the quickest is {best.hours:,.1f} h on {best.fleet} for ${best.dollars:,.0f}{more}"


def _slower(wish: Wish, table: PriceTable, instances: Sequence[Instance]) -> str:
    """The cheapest plan without a limit of time, where that would do, as advice."""
    patient = replace(wish, hours=None)
    plans = cheapest_of_each(patient, table, instances)
    if not plans or wish.dollars is None or plans[0].dollars > wish.dollars:
        return ""
    return f"; or allow {plans[0].hours:,.0f} h, which costs ${plans[0].dollars:,.0f} on {plans[0].fleet}"


def _too_little(wish: Wish, fleet: Fleet) -> str:
    """Say how much memory is missing, with the setup that needs least."""
    missing = [shortage(wish.shape, wish.work, fleet, setup, wish.assumed) for setup in wish.choice.setups()]
    device, host = min(missing, key=sum)
    where = f"{device / GB:,.1f} GB of the device's {fleet.device.memory_gb:g} GB" if device else ""
    where += f"{' and ' if where and host else ''}{host / GB:,.1f} GB of the host's memory" if host else ""
    return f"{wish.shape.name} ({wish.shape.parameters / 1e9:.3g}B parameters) does not fit {fleet}: {where} are short"


def _nearest(wish: Wish, fleet: Fleet) -> str:
    """Say what would make it fit: offloading on the same fleet, or more instances."""
    advice = []
    for offload in OFFLOADS[1:]:
        everything = Choice(offloads=(offload,), precision=wish.choice.precision)
        plan = quickest(replace(wish, choice=everything), fleet)
        if plan:
            advice.append(f"add --offload {offload}: {plan.memory.total / GB:,.1f} GB a device, {plan.hours:,.1f} h")
            break
    for count in (2**power for power in range(1, 11)):
        larger = replace(fleet, count=fleet.count * count)
        plan = quickest(replace(wish, choice=Choice(precision=wish.choice.precision)), larger)
        if plan:
            advice.append(f"take {larger}: {plan.hours:,.1f} h, ${plan.dollars:,.0f}")
            break
    return "; or ".join(advice) or "choose a smaller model or devices with more memory"
