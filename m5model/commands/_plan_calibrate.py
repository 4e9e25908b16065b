"""m5 plan calibrate: measure this machine's cores, and keep what later plans read."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from m5model.commands._plan_flags import write

if TYPE_CHECKING:
    from m5model.planning.speed import Speed

SUMMARY = "measure this machine: calls of the engine and steps of training, on one core"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--output", metavar="FILE", help="where to write it (default: in the cache, where plans look for it)")
    parser.add_argument("--without-training", action="store_true", help="the engine alone")


def run(arguments: argparse.Namespace) -> None:
    from m5model.files.caches import cache_folder
    from m5model.planning.calibration import calibrate
    from m5model.planning.speed import CALIBRATION_FILE, write_calibration
    from m5model.planning.wording import page, rows

    found = calibrate(with_training=not arguments.without_training)
    file = Path(arguments.output) if arguments.output else cache_folder() / CALIBRATION_FILE
    write_calibration(file, found)
    sections = [(f"One core with {found.instructions}, written to {file}", rows([("measured", found.dated)]))]
    sections.append(("A call of the engine", rows(_lines(found.embedding))))
    sections.append(("Tokenising", rows([("token", f"{found.tokenizing * 1e9:,.4g} nanoseconds")])))
    sections += [("A step of training", rows(_lines(found.training)))] if found.training else []
    write(arguments.json, {**found.as_json(), "file": str(file)}, page(*sections))


def _lines(speed: "Speed") -> list[tuple[str, str]]:
    lines = [(kind, f"{taken * 1e9:,.4g} nanoseconds each") for kind, taken in speed.seconds_per.items()]
    return [*lines, ("largest error", f"{speed.worst_fit:.1%} on {speed.points} points")]
