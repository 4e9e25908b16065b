"""m5 plan train: what a training takes before it starts: memory, time, dollars, and the cheapest fleet.

m5 plan embed: the same for embedding a catalogue on CPUs.

m5 plan calibrate: this machine's own speed, which later plans read.
"""

import argparse

from m5model.commands import _plan_calibrate, _plan_embed, _plan_train

SUMMARY = "plan cost, time and fleet of training and embedding before anything is paid"
PARTS = {"train": _plan_train, "embed": _plan_embed, "calibrate": _plan_calibrate}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(dest="plan_command", required=True, metavar="|".join(PARTS))
    for name, part in PARTS.items():
        command = commands.add_parser(name, help=part.SUMMARY, description=part.SUMMARY, allow_abbrev=False)
        part.add_arguments(command)
        command.add_argument("--json", action="store_true", help="print one JSON object")


def run(arguments: argparse.Namespace) -> None:
    PARTS[arguments.plan_command].run(arguments)
