"""An embedding plan for people and for programs."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

from m5model.planning.embedding import EmbeddingAssumptions, EmbeddingPlan, stored_gb
from m5model.planning.fleet import PriceTable
from m5model.planning.fleet_simulation import FleetSize, Trouble, stops_helping
from m5model.planning.profile import Profile
from m5model.planning.speed import Calibration
from m5model.planning.wording import amount, dollars, duration, page, rows, table
from schemas.report import JsonValue

DAYS_PER_MONTH = 365 / 12


@dataclass(frozen=True, kw_only=True)
class EmbeddingReport:
    """All that a page tells."""

    plans: Sequence[EmbeddingPlan]  # of the whole catalogue, best first
    refresh: EmbeddingPlan | None  # of a day
    refresh_share: float
    sizes: Sequence[FleetSize]  # simulated; none where that was not asked for
    refresh_sizes: Sequence[FleetSize]
    unmeasured: Sequence[EmbeddingPlan]  # on instances whose speed is an assumption
    assumed: EmbeddingAssumptions
    trouble: Trouble
    prices: PriceTable
    profile: Profile
    calibration: Calibration

    @property
    def stored_gb(self) -> float:
        work = self.plans[0].work
        return stored_gb(work.shape, work.catalogue, self.assumed)

    @property
    def storage_dollars_per_month(self) -> float:
        return self.stored_gb * self.prices.object_storage.dollars_per_gb_month

    @property
    def tokens_per_core_s(self) -> float:
        """Of the calibrated core, alone."""
        work = self.plans[0].work
        return work.tokens / work.core_seconds


def as_json(report: EmbeddingReport) -> dict[str, JsonValue]:
    best = report.plans[0]
    locales: dict[str, JsonValue] = {code: dict(asdict(one)) for code, one in best.work.locales.items()}
    return {
        "plan": "embed",
        "model": best.work.shape.name,
        "listings": best.work.listings,
        "tokens": best.work.tokens,
        "tokens_per_second_and_core": report.tokens_per_core_s,
        "locales": locales,
        **_line(best),
        "others": [dict(_line(plan)) for plan in report.plans[1:]],
        "if_assumed_speeds_hold": [dict(_line(plan)) for plan in report.unmeasured],
        "stored_gb": report.stored_gb,
        "storage_dollars_per_month": report.storage_dollars_per_month,
        "refresh_share": report.refresh_share,
        "refresh": dict(_line(report.refresh)) if report.refresh else None,
        "simulated": _sizes(report.sizes),
        "stops_helping_at": _stop(report.sizes),
        "simulated_refresh": _sizes(report.refresh_sizes),
        "refresh_stops_helping_at": _stop(report.refresh_sizes),
        "assumed": {**report.assumed.as_json(), **report.trouble.as_json()},
        "profile": report.profile.source,
        "calibrated_on": report.calibration.instructions,
        "calibrated_at": report.calibration.dated,
        "price_table": report.prices.path,
    }


def as_text(report: EmbeddingReport) -> str:
    best = report.plans[0]
    head = f"Embed {amount(best.work.listings)} listings ({amount(best.work.tokens)} tokens) with {best.work.shape.name}"
    kinds = [_cells(plan, report.prices) for plan in report.plans]
    columns = ("fleet", "instructions", "hours", "dollars", "instance-hours")
    sections = [
        (head, rows(_summary(report))),
        ("Locales", table(("locale", "listings", "tokens each", "tokens", "core-hours"), _locales(best))),
        ("Cheapest of each kind", table(columns, kinds)),
    ]
    if report.unmeasured:
        unmeasured = [_cells(plan, report.prices) for plan in report.unmeasured]
        sections.append(("If the assumed speed of these cores holds", table(columns, unmeasured)))
    if report.refresh:
        sections.append((f"Refresh of {report.refresh_share:.1%} a day", rows(_refresh(report.refresh))))
    for what, sizes in (("all listings", report.sizes), ("the refresh", report.refresh_sizes)):
        if sizes:
            sections.append((f"Simulated fleets of {best.instance.name}, {what}", _simulated(sizes)))
    return page(*sections, ("Assumed, not measured (change with --assume NAME=VALUE)", rows(_assumptions(report))))


def _sizes(sizes: Sequence[FleetSize]) -> list[JsonValue]:
    return [dict(asdict(size)) for size in sizes]


def _stop(sizes: Sequence[FleetSize]) -> int | None:
    found = stops_helping(sizes)
    return found.count if found else None


def _simulated(sizes: Sequence[FleetSize]) -> list[str]:
    lines = [(f"{one.count:,}", f"{one.hours:,.2f}", dollars(one.dollars), f"{one.useful_share:.1%}") for one in sizes]
    stop = stops_helping(sizes)
    advice = (
        f"  More than {stop.count:,} do not help: doubling saves less than a fifth of the time."
        if stop
        else "  Doubling helps up to the largest of these."
    )
    return [*table(("instances", "hours", "dollars", "useful work"), lines), advice]


def _line(plan: EmbeddingPlan) -> dict[str, JsonValue]:
    return {
        "fleet": f"{plan.instance.name}={plan.count}",
        "instructions": plan.instance.instructions,
        "hours": plan.hours,
        "dollars": plan.dollars,
        "instance_hours": plan.hours * plan.count,
        "waves": plan.waves,
        "interruptions": plan.interruptions,
        "seconds": {
            "start": plan.start,
            "scan": plan.scan,
            "model": plan.model,
            "task_overhead": plan.overhead,
            "commits": plan.commits,
            "lost_to_interruptions": plan.lost,
        },
    }


def _summary(report: EmbeddingReport) -> Iterator[tuple[str, str]]:
    plan = report.plans[0]
    yield "fleet", f"{plan.count:,} x {plan.instance.name} ({plan.count * plan.instance.cores:,} cores)"
    yield "time", duration(plan.hours)
    yield "cost", f"{dollars(plan.dollars)} at ${plan.count * plan.dollars_per_instance_hour:,.2f} an hour"
    yield "speed", f"{report.tokens_per_core_s:,.0f} tokens/s of one {report.calibration.instructions} core alone"
    parts = (("model", plan.model), ("tasks", plan.overhead), ("commits", plan.commits), ("finding what is pending", plan.scan))
    yield "goes into", ", ".join(f"{name} {duration(seconds / 3_600)}" for name, seconds in parts)
    yield "waves", f"{plan.waves:,}, of {plan.work.listings / plan.waves:,.0f} listings"
    yield "interruptions", f"{plan.interruptions:,.2f} expected, {duration(plan.lost / 3_600)} lost"
    yield "storage", f"{report.stored_gb / 1e3:,.1f} TB of vectors, {dollars(report.storage_dollars_per_month)} a month"


def _locales(plan: EmbeddingPlan) -> Iterator[tuple[str, ...]]:
    for code, one in sorted(plan.work.locales.items(), key=lambda pair: -pair[1].listings):
        tokens = one.listings * one.mean_tokens
        yield code, amount(one.listings), f"{one.mean_tokens:.1f}", amount(tokens), f"{one.core_seconds / 3_600:,.0f}"


def _cells(plan: EmbeddingPlan, prices: PriceTable) -> tuple[str, ...]:
    instructions = f"{plan.instance.instructions} ({prices.speed_of(plan.instance):g})"
    fleet = f"{plan.count:,} x {plan.instance.name}"
    return fleet, instructions, f"{plan.hours:,.1f}", dollars(plan.dollars), f"{plan.hours * plan.count:,.0f}"


def _refresh(plan: EmbeddingPlan) -> Iterator[tuple[str, str]]:
    yield "fleet", f"{plan.count:,} x {plan.instance.name}"
    yield "time", duration(plan.hours)
    yield "of which", f"model {duration(plan.model / 3_600)}, finding what is pending {duration(plan.scan / 3_600)}"
    yield "cost", f"{dollars(plan.dollars)} a day, {dollars(plan.dollars * DAYS_PER_MONTH)} a month"


def _assumptions(report: EmbeddingReport) -> Iterator[tuple[str, str]]:
    for name, value in {**report.assumed.as_json(), **(report.trouble.as_json() if report.sizes else {})}.items():
        yield name, f"{value:,.4g}"
    instance = report.plans[0].instance
    instructions = report.prices.instruction_sets[instance.instructions]
    yield "profile", report.profile.source
    yield (
        "calibration",
        f"{report.calibration.instructions}, {report.calibration.dated}; m5 plan calibrate measures this machine",
    )
    yield (
        "speed of a core",
        f"{instructions.speed:g}: {instructions.source}{'; ' + instructions.note if instructions.note else ''}",
    )
    yield "price", f"{instance.source}, {instance.dated}{'; ' + instance.note if instance.note else ''}"
    yield "price table", f"{report.prices.path}, compiled {report.prices.dated}"
