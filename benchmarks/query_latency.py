"""Latency of queries over HTTP: ``m5 serve``, the same model behind a plain FastAPI endpoint, sentence-transformers behind one.

    python benchmarks/query_latency.py [--rate 50] [--seconds 60] [--bundle BUNDLE] [--data FOLDER]

One text a request; real queries where FOLDER/search/home_depot_judgements.parquet is, else the first words of titles; no text
twice in a measurement, and the cache is off. Service and generator share the cores. The generator is an open loop
(inputs/open_loop.py): latency counts from the time at which a request was to be sent. Then rates go up, for each service until
its p99 is above 25 ms, something is refused or lost; then ``m5 serve`` gets twice the highest rate that it held. The services
run one after the other, and ``--peer-seconds`` is how long the other two are measured at ``--rate``. About five minutes.
The last line of stdout is one JSON object: ``p50_ms, p99_ms, requests_per_s, errors`` at ``--rate``, the highest rate at a
p99 of 25 ms, p99 by rate for all three, and what happened at twice that rate.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from inputs.listings import REAL_CATALOGUE, read_texts
from inputs.services import PATHS, find_student, running
from inputs.stopwatch import Stopwatch

from m5model.training.progress import say

HERE = Path(__file__).parent
JUDGEMENTS = "search/home_depot_judgements.parquet"
P99_MS = 25.0
RATES = (100, 150, 200, 250, 300, 350, 400, 500, 600, 800, 1_000)
WARM_UP_S = 2.0


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """Counts what a service did with the requests of one rate."""

    rate: float
    seconds: float
    latency_ms: np.ndarray  # of answers with 200
    late_ms: np.ndarray  # of all, how long after its time each was sent
    refused: int  # 429
    errors: int  # any other status, or no answer

    @property
    def p99_ms(self) -> float:
        return float(np.percentile(self.latency_ms, 99)) if len(self.latency_ms) else float("inf")

    @property
    def holds(self) -> bool:
        return self.p99_ms <= P99_MS and not self.refused and not self.errors

    def as_json(self) -> dict[str, float | int]:
        asked = len(self.latency_ms) + self.refused + self.errors
        return {
            "rate": self.rate,
            "p50_ms": round(float(np.median(self.latency_ms)), 2) if len(self.latency_ms) else -1,
            "p99_ms": round(self.p99_ms, 2) if len(self.latency_ms) else -1,
            "requests_per_s": round(len(self.latency_ms) / self.seconds, 1),
            "refused_share": round(self.refused / asked, 4),
            "errors": self.errors,
            "sent_late_p99_ms": round(float(np.percentile(self.late_ms, 99)), 2),
        }


class Measured:
    """Texts that no measurement of one service sees twice, until all were used."""

    def __init__(self, queries: Path) -> None:
        self._queries = queries
        self._first = 0

    def __call__(self, name: str, port: int, rate: float, seconds: float) -> Outcome:
        command = [sys.executable, str(HERE / "inputs/open_loop.py"), "--port", str(port), "--path", PATHS[name]]
        command += [
            "--queries",
            str(self._queries),
            "--first",
            str(self._first),
            "--rate",
            str(rate),
            "--seconds",
            str(seconds),
        ]
        found = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
        self._first += len(found["status"])
        status = np.array(found["status"])
        latency_ms = np.array(found["latency_ms"], np.float64)
        good = status == 200
        refused = int((status == 429).sum())
        outcome = Outcome(
            rate=rate,
            seconds=seconds,
            latency_ms=latency_ms[good],
            late_ms=np.array(found["late_ms"]),
            refused=refused,
            errors=int((~good).sum()) - refused,
        )
        say(f"{name}: {outcome.as_json()}")
        return outcome


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=float, default=50, help="requests per second (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=60, help="at --rate, for m5 serve (default: %(default)s)")
    parser.add_argument("--peer-seconds", type=float, default=30, help="at --rate, for the others (default: %(default)s)")
    parser.add_argument("--step-seconds", type=float, default=6, help="at every higher rate (default: %(default)s)")
    parser.add_argument("--bundle", help="a student; else the newest of the workspace, else one with random weights")
    parser.add_argument("--data", type=Path, default=REAL_CATALOGUE.parent, help="folder of real data (default: %(default)s)")
    parser.add_argument("--only-m5", action="store_true", help="leave the other two out")
    arguments = parser.parse_args()
    timed = Stopwatch()
    with tempfile.TemporaryDirectory() as scratch:
        bundle = find_student(arguments.bundle, Path(scratch))
        queries, origin = _read_queries(arguments.data)
        file = Path(scratch) / "queries.json"
        file.write_text(json.dumps(queries), encoding="utf-8")
        outcomes, at_twice = {}, None
        for name in ("m5",) if arguments.only_m5 else PATHS:
            measure = Measured(file)
            with running(name, bundle) as service:
                port = service.port
                measure(name, port, arguments.rate, WARM_UP_S)
                seconds = arguments.seconds if name == "m5" else arguments.peer_seconds
                found = [_measure_alone(measure, name, port, arguments.rate, seconds, timed)]
                outcomes[name] = found + _climb(measure, name, port, arguments.rate, arguments.step_seconds)
                if name == "m5":
                    at_twice = measure(name, port, 2 * _highest(outcomes[name]), arguments.step_seconds)
    print(json.dumps(_report(outcomes, at_twice, bundle, origin, timed.others_share)))
    return 0


def _measure_alone(measure: Measured, name: str, port: int, rate: float, seconds: float, timed: Stopwatch) -> Outcome:
    outcome: list[Outcome] = []
    timed(lambda: outcome.append(measure(name, port, rate, seconds)))
    return outcome[0]


def _climb(measure: Measured, name: str, port: int, rate: float, seconds: float) -> list[Outcome]:
    """Higher rates, until one does not hold; it is measured a second time before it counts as such."""
    found: list[Outcome] = []
    for higher in (one for one in RATES if one > rate):
        found.append(measure(name, port, higher, seconds))
        if not found[-1].holds:
            found[-1] = min(found[-1], measure(name, port, higher, seconds), key=lambda one: (not one.holds, one.p99_ms))
        if not found[-1].holds:
            break
    return found


def _highest(outcomes: list[Outcome]) -> float:
    """The highest rate that held; the lowest measured where none did."""
    return max((one.rate for one in outcomes if one.holds), default=outcomes[0].rate)


def _report(
    outcomes: dict[str, list[Outcome]], at_twice: Outcome | None, bundle: str, origin: str, others: float
) -> dict[str, object]:
    first = outcomes["m5"][0].as_json()
    report: dict[str, object] = {
        **{name: first[name] for name in ("p50_ms", "p99_ms", "requests_per_s", "errors", "refused_share", "sent_late_p99_ms")},
        "rate": first["rate"],
        "highest_rate_at_p99_25_ms": {name: _highest(found) if found[0].holds else 0 for name, found in outcomes.items()},
        "p99_ms_by_rate": {
            name: {f"{one.rate:g}": one.as_json()["p99_ms"] for one in found} for name, found in outcomes.items()
        },
        "at_twice_that_rate": at_twice.as_json() if at_twice else None,
        "better_at_every_rate": _is_better(outcomes),
        "queries": origin,
        "bundle": Path(bundle).name,
        "cores": len(os.sched_getaffinity(0)),
        "others_cpu_share": round(others, 3),
    }
    return report


def _is_better(outcomes: dict[str, list[Outcome]]) -> bool:
    """Is the p99 of m5 serve the lowest at every rate that another was measured at?"""
    ours = {one.rate: one.p99_ms for one in outcomes["m5"]}
    others = [one for name, found in outcomes.items() if name != "m5" for one in found]
    return all(one.rate in ours and ours[one.rate] < one.p99_ms for one in others)


def _read_queries(data: Path) -> tuple[list[str], str]:
    """Different queries in random order, and where they are from."""
    draw = np.random.default_rng(7)
    file = data / JUDGEMENTS
    if file.is_file():
        found = sorted(set(pq.read_table(file, columns=["query"])["query"].to_pylist()))
        return [found[i] for i in draw.permutation(len(found))], "home_depot"
    texts, origin = read_texts(10_000)
    return [" ".join(text.split()[: draw.integers(1, 7)]) or "a" for text in texts], f"titles of the {origin} catalogue"


if __name__ == "__main__":
    sys.exit(main())
