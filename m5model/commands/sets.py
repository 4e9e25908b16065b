"""m5 sets list: the versions of the workspace's training sets and label sets.

m5 sets diff OLD NEW: rows added, gone and changed between two training sets.
"""

import argparse
import json
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from schemas.workspace import Workspace

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

SUMMARY = "list and compare versions of training sets and label sets"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(dest="sets_command", required=True, metavar="list|diff")
    listed = _add_command(commands, "list", _list, "the versions that there are, oldest first")
    listed.add_argument("--json", action="store_true", help="one JSON object a line: the manifests")
    compared = _add_command(commands, "diff", _compare, "rows added, gone and changed from OLD to NEW")
    compared.add_argument("old", metavar="OLD", help="NAME/VERSION, or NAME for its newest version, or a path")
    compared.add_argument("new", metavar="NEW", help="the same")
    compared.add_argument("--json", action="store_true", help="print one JSON object")


def run(arguments: argparse.Namespace) -> None:
    arguments.run_sets(Workspace.resolve(arguments.workspace), arguments)


def _add_command(
    commands: "Commands", name: str, run: Callable[[Workspace, argparse.Namespace], None], summary: str
) -> argparse.ArgumentParser:
    command = commands.add_parser(name, help=summary, description=summary, allow_abbrev=False)
    command.add_argument("--workspace", help="where sets lie (default: $M5_WORKSPACE, else ./workspace)")
    command.set_defaults(run_sets=run)
    return command


def _list(workspace: Workspace, arguments: argparse.Namespace) -> None:
    from m5model.data.set_versions import list_label_sets, list_training_sets
    from m5model.reports import set_listing

    sets, labels = list_training_sets(workspace), list_label_sets(workspace)
    if arguments.json:
        sys.stdout.write(set_listing.manifests_as_lines([*sets, *labels]))
        return
    sys.stdout.write(set_listing.manifests_as_table(sets))
    if labels:
        sys.stdout.write("\n" + set_listing.label_sets_as_table(labels))


def _compare(workspace: Workspace, arguments: argparse.Namespace) -> None:
    from m5model.data.set_versions import compare_versions, find_training_set
    from m5model.reports import set_listing

    found = compare_versions(find_training_set(workspace, arguments.old), find_training_set(workspace, arguments.new))
    as_json = json.dumps(found.as_json(), ensure_ascii=False) + "\n"
    sys.stdout.write(as_json if arguments.json else set_listing.difference_as_text(found))
