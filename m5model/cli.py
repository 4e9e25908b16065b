"""The ``m5`` command runs the toolkit without Spark. Its subcommands are the files of m5model/commands.

m5 inspect BUNDLE            check every byte, say what it is and what it passed; --html FILE: a page that shows the model
m5 encode BUNDLE "a text"    vectors as JSON Lines, or into a .npy file
m5 serve BUNDLE              vectors over HTTP
m5 feed inspect FILE         what a feed's file is, a mapping for it, and what its records would become
m5 distill                   teachers become a student: int8 graphs that passed a gate
m5 finetune                  a partner's labels become figures, a model and a report; m5 strategies lists the ways
m5 vocabulary trim           a checkpoint with the pieces that a training set uses
m5 sets list                 the versions of the workspace's training sets
m5 sets diff OLD NEW         rows added, gone and changed, and the languages' shares
m5 report --out DIR          a static site of the workspace: tables, sets, models, features, quality, what changed
m5 features list | show      the published feature views: versions, coverage, drift, freshness, lineage
m5 features diff VIEW A B    what became of rows, columns and settings; read VIEW --as-of VERSION gives the rows
m5 features rollback VIEW N  readers see version N again and keep it; m5 features release VIEW lets it be published again
m5 plan train | embed        cost, time and fleet before a run starts; m5 plan calibrate measures this machine
"""

import argparse
import io
import sys
from collections.abc import Sequence

from m5model import commands
from m5model.files.streams import discard_stdout
from schemas.errors import ExitCode, M5Error, explain_os_error
from schemas.flags import require_numbers
from schemas.registry import load_member, load_members


def main(argv: Sequence[str] | None = None) -> int:
    """Run one subcommand; the exit code is 0, or that of the M5Error, whose message goes to stderr.

    Output is UTF-8 whatever the locale. A reader that closes the pipe early ends the command quietly.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8", errors="surrogateescape")
    try:
        try:
            return _run(argv)
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        _drop_output()
        return int(ExitCode.DONE)
    except OSError as error:
        _drop_output()
        return _fail("m5", explain_os_error(error))


def _run(argv: Sequence[str] | None) -> int:
    arguments = _parser().parse_args(argv)
    try:
        require_numbers(arguments)
        load_member(commands, arguments.command, "command").run(arguments)
    except M5Error as error:
        return _fail(f"m5 {arguments.command}", error)
    return int(ExitCode.DONE)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="m5", description="M5's toolkit: bundles and training sets, without Spark.")
    added = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, command in load_members(commands).items():
        command.add_arguments(added.add_parser(name, help=command.SUMMARY, description=command.SUMMARY))
    return parser


def _fail(command: str, error: M5Error) -> int:
    sys.stderr.write(f"{command}: {error}\n")
    return int(error.exit_code)


def _drop_output() -> None:
    """Give up what is still buffered where it cannot be written."""
    try:
        sys.stdout.flush()
    except OSError:
        discard_stdout()
