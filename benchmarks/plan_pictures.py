"""The figures and pictures of the three decisions on planning.

    python benchmarks/plan_pictures.py [--output docs/decisions/pictures] [--form svg]

Everything is computed from m5model/planning: the price table, the published runs, the calibration and the profile that come
with M5. The last line of stdout is one JSON object.
"""

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from m5model.planning.embedding import EmbeddingAssumptions, EmbeddingPlan, EmbeddingWish, cheapest_of_each, count_work
from m5model.planning.embedding_report import stored_gb
from m5model.planning.fleet import Instance, PriceTable, read_price_table
from m5model.planning.fleet_simulation import FleetSize, Trouble, simulate_sizes, stops_helping
from m5model.planning.operations import Texts
from m5model.planning.profile import read_profile
from m5model.planning.published import RUNS_OF_2021, explain_2021, explain_run, predict_deepspeed
from m5model.planning.search import Wish
from m5model.planning.search import cheapest_of_each as cheapest_training
from m5model.planning.setup import Assumptions, Workload
from m5model.planning.shape import find_shape
from m5model.planning.speed import REFERENCE_FILE, read_calibration

TEXTS = Texts(length=128, structured_share=0.35)
DAY = 24.0
BUDGET = 2_000.0
TOKENS = [1e10 * 10 ** (step / 8) for step in range(17)]  # 10 billion to 1 trillion
SECOND_HOURS = (30.0, 60.0, 120.0)  # that the run on p4d may have taken: no source says
SAVING, EFFICIENCY = 4.2, 0.35  # the reference's plan for 100B
LARGE_TOKENS = 2e12  # 20 a parameter (Hoffmann et al. 2022)
LARGE_HOURS = 60 * 24.0
STYLE = {"svg.hashsalt": "m5", "svg.fonttype": "none", "font.size": 9, "axes.spines.top": False, "axes.spines.right": False}
SIZES = tuple(2**power for power in range(10))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=Path(__file__).parents[1] / "docs" / "decisions" / "pictures")
    parser.add_argument("--form", choices=("svg", "png"), default="svg")
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    plt.rcParams.update(STYLE)
    prices = read_price_table()
    pictures = {"one-day": one_day, "hundred-billion": hundred_billion, "listings": listings}
    result: dict[str, Any] = {"benchmark": "plan_pictures"}
    for name, draw in pictures.items():
        figure, result[name] = draw(prices)
        figure.tight_layout()
        metadata = {"Date": None} if arguments.form == "svg" else None
        figure.savefig(arguments.output / f"planning-{name}.{arguments.form}", metadata=metadata, dpi=110)
        plt.close(figure)
    print(json.dumps(result))
    return 0


def one_day(prices: PriceTable) -> tuple[plt.Figure, dict[str, Any]]:
    """Dollars of 1.5B parameters in a day, by tokens; and what the two runs of 2021 mean."""
    shape = find_shape("xl-1.5b")
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4.2))
    affordable = {}
    history = [prices.instance(run.instance) for run in RUNS_OF_2021]
    for instance in [*prices.rented(), *history]:
        costs = [_dollars(prices, instance, tokens) for tokens in TOKENS]
        left.plot(TOKENS, costs, "--" if instance.history else "-", label=instance.name)
        affordable[instance.name] = _affordable(prices, instance)
    left.axhline(BUDGET, color="black", linewidth=0.8)
    left.set(xscale="log", yscale="log", xlabel="tokens trained in 24 hours", ylabel="dollars, on demand")
    left.set_title("1.5B parameters in a day (line: $2,000)")
    left.legend(fontsize=7)
    for run in RUNS_OF_2021:
        for hours in [run.hours] if run.hours else SECOND_HOURS:
            found = [explain_run(prices, shape, TEXTS, run, tokens, hours) for tokens in TOKENS]
            label = f"{run.count} x {run.instance}: {hours:.0f} h, ${found[0].dollars_per_instance_hour:.2f}/h"
            right.plot(TOKENS, [one.efficiency for one in found], "-" if run.hours else "--", label=label)
    right.axhspan(0.2, 0.5, color="0.9")
    right.set(xscale="log", ylim=(0, 0.6), xlabel="tokens", ylabel="share of the peak")
    right.set_title("What the runs of 2021 mean (grey: usual)")
    right.legend(fontsize=7)
    curve = explain_2021(prices, shape, TEXTS, (1e11, 2e11, 4e11, 8e11), SECOND_HOURS)
    explained = [
        {
            "run": f"{one.run.count} x {one.run.instance}",
            "tokens": one.tokens,
            "hours": one.hours,
            "dollars_per_instance_hour": round(one.dollars_per_instance_hour, 2),
            "of_list_price": round(one.price_share, 3),
            "efficiency": round(one.efficiency, 3),
        }
        for one in curve
    ]
    deepspeed = [
        {"fleet": one.fleet, "published_h": round(one.published_hours, 2), "predicted_h": round(one.predicted_hours, 2)}
        | {"error": round(one.error, 3), "rate_alone": round(one.computing_hours / one.published_hours - 1, 3)}
        for one in predict_deepspeed(prices)
    ]
    return figure, {"tokens_for_2000_dollars": affordable, "runs_of_2021": explained, "deepspeed": deepspeed}


def _dollars(prices: PriceTable, instance: Instance, tokens: float) -> float:
    plans = cheapest_training(_day_wish(tokens), prices, [instance])
    return plans[0].dollars if plans else float("nan")


def _day_wish(tokens: float) -> Wish:
    work = Workload(tokens=tokens, batch_tokens=2.0**20, texts=TEXTS)
    return Wish(shape=find_shape("xl-1.5b"), work=work, hours=DAY)


def _affordable(prices: PriceTable, instance: Instance) -> float:
    """Tokens in a day for the budget, by halving; three digits."""
    low, high = 1e9, 1e12
    for _ in range(40):
        middle = (low * high) ** 0.5
        low, high = (middle, high) if _dollars(prices, instance, middle) <= BUDGET else (low, middle)
    return float(f"{low:.3g}")


def hundred_billion(prices: PriceTable) -> tuple[plt.Figure, dict[str, Any]]:
    """What saves 4.2 times, and what the plan itself comes to."""
    base = prices.instance("p3dn.24xlarge")
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4.2))
    before = [0.02 * step for step in range(3, 26)]
    needed = {}
    for instance in [prices.instance("p4d.24xlarge-2021"), *prices.rented()]:
        ratio = _operations_per_dollar(prices, instance) / _operations_per_dollar(prices, base)
        left.plot(before, [ratio * EFFICIENCY / share for share in before], label=f"{instance.name}: hardware x {ratio:.2f}")
        needed[instance.name] = {"hardware": round(ratio, 2), "efficiency_before": round(ratio * EFFICIENCY / SAVING, 3)}
    left.axhline(SAVING, color="black", linewidth=0.8)
    left.set(ylim=(0, 15), xlabel="efficiency before, on p3dn.24xlarge", ylabel="times cheaper at 35%")
    left.set_title("What a saving of 4.2 times takes")
    left.legend(fontsize=7)
    plans = {}
    names, shares = [], []
    for label, batch, efficiency in (("4M tokens, kernels 40%", 4, 0.4), ("4M, 50%", 4, 0.5), ("16M, 50%", 16, 0.5)):
        found = _plan_large(prices, batch, efficiency)
        plans[label] = found
        names.append(label)
        shares.append(found["peak_used"])
    right.barh(names[::-1], shares[::-1], color="0.6")
    right.axvline(EFFICIENCY, color="black", linewidth=0.8)
    for place, label in enumerate(names[::-1]):
        plan = plans[label]
        text = f"{plan['fleet']}: ${plan['dollars'] / 1e6:.1f}M, {plan['days']:.0f} days"
        right.text(0.005, place, text, va="center", fontsize=8)
    right.set(xlabel="share of the peak (line: 35%)", title="100B on 2 trillion tokens within 60 days")
    return figure, {"saving": needed, "plans": plans}


def _operations_per_dollar(prices: PriceTable, instance: Instance) -> float:
    return instance.devices * prices.device_of(instance).peak_tflops / instance.dollars_per_hour


def _plan_large(prices: PriceTable, batch_millions: int, efficiency: float) -> dict[str, Any]:
    work = Workload(tokens=LARGE_TOKENS, batch_tokens=batch_millions * 2.0**20, texts=Texts(length=512))
    assumed = replace(Assumptions(), efficiency=efficiency)
    wish = Wish(shape=find_shape("100b"), work=work, hours=LARGE_HOURS, assumed=assumed)
    best = cheapest_training(wish, prices, prices.rented())[0]
    return {
        "fleet": str(best.fleet),
        "setup": str(best.setup),
        "days": round(best.hours / 24, 1),
        "dollars": round(best.dollars),
        "peak_used": round(best.utilisation, 3),
        "limited_by": best.step.largest,
        "failures": round(best.failures.failures, 1),
        "checkpoint_every_minutes": round(best.failures.interval / 60, 1),
    }


def listings(prices: PriceTable) -> tuple[plt.Figure, dict[str, Any]]:
    """Core-hours of 22 billion listings by locale, and simulated fleets."""
    calibration, assumed = read_calibration(str(REFERENCE_FILE)), EmbeddingAssumptions()
    work = count_work(find_shape("student-70m"), 22e9, read_profile(None), calibration)
    wish = EmbeddingWish(work=work, hours=DAY, spot=True)
    best = cheapest_of_each(wish, prices, calibration, prices.measured())[0]
    daily = replace(wish, work=work.share(0.01), hours=2.0)
    refresh = cheapest_of_each(daily, prices, calibration, [best.instance])[0]
    full, small = (simulate_sizes(plan, prices, assumed, Trouble(), SIZES, spot=True) for plan in (best, refresh))
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4.2))
    ordered = sorted(work.locales.items(), key=lambda pair: pair[1].core_seconds)
    left.barh([code for code, _ in ordered], [one.core_seconds / 3_600 for _, one in ordered], color="0.6")
    left.set(xlabel="core-hours (shares of locales are assumed)")
    left.set_title(f"22 billion listings: {work.core_seconds / 3.6e6:,.0f} thousand core-hours")
    for label, sizes in (("all listings", full), ("1% a day", small)):
        right.plot([size.count for size in sizes], [size.hours for size in sizes], "o-", label=f"{label}: hours")
        right.plot([size.count for size in sizes], [size.dollars for size in sizes], "s--", label=f"{label}: dollars")
    right.set(xscale="log", yscale="log", xlabel=f"{best.instance.name} (spot)", title="Simulated fleets")
    right.legend(fontsize=7)
    return figure, {
        "core_hours": round(work.core_seconds / 3_600),
        "tokens": round(work.tokens),
        "full": _line(best),
        "refresh": _line(refresh),
        "stored_tb": round(stored_gb(work.shape, 22e9, assumed) / 1e3, 1),
        "stops_helping_at": _stop(full),
        "refresh_stops_helping_at": _stop(small),
        "simulated": [_size(size) for size in full],
        "simulated_refresh": [_size(size) for size in small],
    }


def _line(plan: EmbeddingPlan) -> dict[str, Any]:
    fleet = f"{plan.count} x {plan.instance.name}"
    return {"fleet": fleet, "hours": round(plan.hours, 2), "dollars": round(plan.dollars, 2), "waves": plan.waves}


def _size(size: FleetSize) -> dict[str, float]:
    return {"count": size.count, "hours": round(size.hours, 2), "dollars": round(size.dollars, 1)}


def _stop(sizes: list[FleetSize]) -> int | None:
    found = stops_helping(sizes)
    return found.count if found else None


if __name__ == "__main__":
    sys.exit(main())
