"""m5 plan embed --listings 22e9 --hours 24 --refresh 0.01: fleet, time, dollars and storage of a catalogue's vectors."""

import argparse
from typing import TYPE_CHECKING

from m5model.commands._plan_flags import add_prices, any_number, read_assumptions, write
from schemas.flags import BrokenNumber, number, whole_number
from schemas.workspace import Workspace

if TYPE_CHECKING:
    from m5model.planning.embedding import EmbeddingAssumptions, EmbeddingPlan, EmbeddingWish
    from m5model.planning.embedding_report import EmbeddingReport
    from m5model.planning.fleet import PriceTable
    from m5model.planning.fleet_simulation import FleetSize, Trouble
    from m5model.planning.profile import Profile
    from m5model.planning.speed import Calibration

SUMMARY = "time, dollars and storage of embedding a catalogue on CPUs, and the cheapest fleet for it"
SIZES = tuple(2**power for power in range(10))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--listings", type=any_number, required=True, help="in all, e.g. 22e9")
    parser.add_argument("--model", default="student-70m", metavar="NAME-OR-FILE", help="(default: %(default)s)")
    parser.add_argument("--locales", nargs="+", metavar="CODE", help="these alone (default: all of the profile)")
    parser.add_argument("--shares", nargs="+", default=[], metavar="CODE=SHARE", help="of the listings, e.g. US=0.4")
    parser.add_argument("--profile", metavar="FILE", help="lengths and shares in the form of m5model/planning/profile.json")
    parser.add_argument("--workspace", help="take the profile from its newest training set and student")
    parser.add_argument("--calibration", metavar="FILE", help="written by m5 plan calibrate (default: the one that it keeps)")
    parser.add_argument("--instances", nargs="+", metavar="NAME", help="look among these (default: those of known speed)")
    parser.add_argument("--count", type=whole_number(1), help="so many; the fewest that keep --hours otherwise")
    parser.add_argument("--refresh", type=number(0, 1), default=0.01, help="share that changes a day (default: 0.01)")
    parser.add_argument("--refresh-hours", type=any_number, default=2.0, help="that a refresh may take (default: 2)")
    parser.add_argument("--simulate", action="store_true", help="simulate fleets of 1 to 512 instances, with trouble")
    add_prices(parser)


def run(arguments: argparse.Namespace) -> None:
    from m5model.planning.embedding import EmbeddingWish, count_work
    from m5model.planning.embedding_report import as_json, as_text
    from m5model.planning.fleet import read_price_table
    from m5model.planning.shape import find_shape
    from m5model.planning.speed import read_calibration

    prices, calibration = read_price_table(arguments.prices), read_calibration(arguments.calibration)
    profile = _profile(arguments)
    assumed, trouble = _assumptions(arguments)
    work = count_work(find_shape(arguments.model), arguments.listings, profile, calibration)
    wish = EmbeddingWish(work=work, hours=arguments.hours, dollars=arguments.budget, spot=arguments.spot, assumed=assumed)
    report = _report(arguments, wish, trouble, prices, calibration, profile)
    write(arguments.json, as_json(report), as_text(report))


def _assumptions(arguments: argparse.Namespace) -> "tuple[EmbeddingAssumptions, Trouble]":
    from m5model.planning.embedding import EmbeddingAssumptions
    from m5model.planning.fleet_simulation import Trouble

    plain, trouble = EmbeddingAssumptions().as_json(), Trouble().as_json()
    values = read_assumptions(arguments.assume, {**plain, **trouble})
    return EmbeddingAssumptions(**{name: values[name] for name in plain}), Trouble(**{name: values[name] for name in trouble})


def _report(
    arguments: argparse.Namespace,
    wish: "EmbeddingWish",
    trouble: "Trouble",
    prices: "PriceTable",
    calibration: "Calibration",
    profile: "Profile",
) -> "EmbeddingReport":
    from dataclasses import replace

    from m5model.planning.embedding import cheapest_of_each
    from m5model.planning.embedding_report import EmbeddingReport
    from m5model.planning.fleet_simulation import simulate_sizes

    def simulated(plan: "EmbeddingPlan | None") -> "list[FleetSize]":
        if plan is None or not arguments.simulate:
            return []
        return simulate_sizes(plan, prices, wish.assumed, trouble, SIZES, spot=arguments.spot)

    plans = _plans(arguments, wish, prices, calibration)
    daily = replace(wish, work=wish.work.share(arguments.refresh), hours=arguments.refresh_hours, dollars=None)
    refresh = cheapest_of_each(daily, prices, calibration, [plans[0].instance])[0] if arguments.refresh else None
    return EmbeddingReport(
        plans=plans,
        refresh=refresh,
        refresh_share=arguments.refresh,
        sizes=simulated(plans[0]),
        refresh_sizes=simulated(refresh),
        unmeasured=_unmeasured(arguments, wish, prices, calibration),
        assumed=wish.assumed,
        trouble=trouble,
        prices=prices,
        profile=profile,
        calibration=calibration,
    )


def _profile(arguments: argparse.Namespace) -> "Profile":
    from m5model.planning.profile import profile_of_workspace, read_profile
    from schemas.checks import require

    require("arguments", {"--profile and --workspace exclude each other": not (arguments.profile and arguments.workspace)})
    if arguments.workspace:
        profile = profile_of_workspace(Workspace.resolve(arguments.workspace))
    else:
        profile = read_profile(arguments.profile)
    chosen = profile.only(arguments.locales) if arguments.locales else profile
    return chosen.with_shares(_shares(arguments.shares)) if arguments.shares else chosen


def _shares(pairs: list[str]) -> dict[str, float]:
    from schemas.errors import ConfigurationError

    shares = {}
    for pair in pairs:
        code, _, text = pair.partition("=")
        share = number(0, 1)(text)
        if isinstance(share, BrokenNumber):
            raise ConfigurationError(
                f"--shares {pair}: expected CODE=SHARE", next_step="give, for example, --shares US=0.4 DE=0.1"
            )
        shares[code] = share
    return shares


def _plans(
    arguments: argparse.Namespace, wish: "EmbeddingWish", prices: "PriceTable", calibration: "Calibration"
) -> "list[EmbeddingPlan]":
    from m5model.planning.embedding import cheapest_of_each, plan_with

    named = [prices.cpu_instance(name) for name in arguments.instances or []]
    instances = named or list(prices.measured())
    if not arguments.count:
        return cheapest_of_each(wish, prices, calibration, instances)
    plans = [plan_with(wish, prices, calibration, one, arguments.count) for one in instances]
    return sorted(plans, key=lambda plan: plan.dollars)


def _unmeasured(
    arguments: argparse.Namespace, wish: "EmbeddingWish", prices: "PriceTable", calibration: "Calibration"
) -> "list[EmbeddingPlan]":
    """Plans on instances whose speed is an assumption, as far as they keep the hours; none where instances were named."""
    from dataclasses import replace

    from m5model.planning.embedding import fewest

    if arguments.instances or arguments.count:
        return []
    others = [one for one in prices.cpu_instances.values() if one not in prices.measured()]
    free = replace(wish, dollars=None)
    plans = [plan for one in others if (plan := fewest(free, prices, calibration, one))]
    return sorted(plans, key=lambda plan: plan.dollars)
