"""m5 features list: the published views, how fresh they are, and what they cover.

m5 features show VIEW: every published version; the newest one's coverage, nulls, drift and lineage.
m5 features diff VIEW A B: rows added, removed and changed, and what else differs.
m5 features read VIEW: rows as JSON Lines, CSV or Parquet, now or as of a version or a time.
m5 features rollback VIEW VERSION: readers see that version again, byte for byte; nothing is published over it until
m5 features release VIEW.
m5 features feast --out DIR: a Feast repository of the views; written again after a publication, it gains the new versions.
"""

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, BinaryIO

from schemas.flags import whole_number
from schemas.workspace import Workspace

if TYPE_CHECKING:
    from m5model.features.rollback import Rollback

    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

SUMMARY = "list, compare, read and roll back published feature views"
MAX_VERSION = 2**31 - 1
FORMATS = ("jsonl", "csv", "parquet")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(dest="features_command", required=True, metavar="COMMAND")
    _add_command(commands, "list", _list, "the published views, how fresh they are, and what they cover", view=False)
    _add_command(commands, "show", _show, "every published version; coverage, nulls, drift and lineage of the newest")
    _add_diff(commands)
    _add_read(commands)
    rollback = _add_command(commands, "rollback", _roll_back, "let readers see an earlier version, byte for byte, and hold it")
    rollback.add_argument("version", type=whole_number(0, MAX_VERSION), metavar="VERSION", help="see m5 features show VIEW")
    rollback.add_argument("--space", metavar="SPACE-ID", help="of that version, where it is not the present one")
    _add_command(commands, "release", _release, "let a view that was rolled back be published again")
    feast = _add_command(commands, "feast", _feast, "write or renew a Feast repository of the published views", view=False)
    feast.add_argument("--out", required=True, metavar="DIR", help="its folder")
    feast.add_argument("--view", action="append", metavar="VIEW", help="repeatable; all published views otherwise")
    feast.add_argument(
        "--versions", type=whole_number(1, 1_000), default=1, help="published versions of each view (default: %(default)s)"
    )


def run(arguments: argparse.Namespace) -> None:
    arguments.run_features(Workspace.resolve(arguments.workspace), arguments)


def _add_command(
    commands: "Commands", name: str, run: Callable[[Workspace, argparse.Namespace], None], summary: str, *, view: bool = True
) -> argparse.ArgumentParser:
    command = commands.add_parser(name, help=summary, description=summary, allow_abbrev=False)
    if view:
        command.add_argument("view", metavar="VIEW", help="see m5 features list")
    command.add_argument("--workspace", help="where views lie (default: $M5_WORKSPACE, else ./workspace)")
    command.add_argument("--json", action="store_true", help="print JSON")
    command.set_defaults(run_features=run)
    return command


def _add_diff(commands: "Commands") -> None:
    diff = _add_command(commands, "diff", _compare, "rows added, removed and changed from A to B, and what else differs")
    for name in ("old", "new"):
        letter = "A" if name == "old" else "B"
        diff.add_argument(name, type=whole_number(0, MAX_VERSION), metavar=letter, help="a published version")
    diff.add_argument("--samples", type=whole_number(0, 1_000), default=5, help="rows of each kind (default: %(default)s)")


def _add_read(commands: "Commands") -> None:
    read = _add_command(commands, "read", _read, "rows of a view, streamed")
    read.add_argument("--as-of", metavar="VERSION-OR-TIME", help="a published version, or a time (ISO 8601)")
    read.add_argument("--space", metavar="SPACE-ID", help="refuse unless the rows are of this space")
    read.add_argument("--columns", metavar="A,B", help="these columns alone")
    read.add_argument("--limit", type=whole_number(0, MAX_VERSION), help="so many rows at most")
    read.add_argument("--format", choices=FORMATS, default="jsonl", help="default: %(default)s; --json means jsonl")
    read.add_argument("--out", metavar="FILE", help="write into a file, whole or not at all; stdout otherwise")


def _list(workspace: Workspace, arguments: argparse.Namespace) -> None:
    from m5model.features.facts import gather_view
    from m5model.features.states import list_states
    from m5model.features.versions import list_views
    from m5model.reports.feature_listing import states_as_text, views_as_table

    views = [gather_view(workspace, name, datetime.now(UTC), last=1) for name in list_views(workspace)]
    if arguments.json:
        sys.stdout.writelines(_as_line(view.as_json()) for view in views)
    else:
        sys.stdout.write(views_as_table(views) + states_as_text(list_states(workspace)))


def _show(workspace: Workspace, arguments: argparse.Namespace) -> None:
    from m5model.features.facts import gather_view
    from m5model.features.lineage import trace
    from m5model.reports.feature_listing import view_as_text

    view = gather_view(workspace, arguments.view, datetime.now(UTC))
    lineage = trace(workspace, view.newest.published)
    if arguments.json:
        versions: list[Any] = [version.as_json() for version in view.versions]
        sys.stdout.write(_as_line({**view.as_json(), "lineage": lineage, "versions": versions}))
    else:
        sys.stdout.write(view_as_text(view, lineage))


def _compare(workspace: Workspace, arguments: argparse.Namespace) -> None:
    from m5model.features.difference import compare_versions
    from m5model.reports.feature_listing import difference_as_text

    found = compare_versions(workspace, arguments.view, arguments.old, arguments.new, arguments.samples)
    sys.stdout.write(_as_line(found.as_json()) if arguments.json else difference_as_text(found))


def _read(workspace: Workspace, arguments: argparse.Namespace) -> None:
    from m5model.features.reading import open_view
    from m5model.files import storage

    opened = open_view(workspace, arguments.view, space_id=arguments.space, as_of=arguments.as_of)
    if arguments.out is None:
        _write(opened, arguments, sys.stdout.buffer)
        return
    with storage.open_output(arguments.out) as stream:
        _write(opened, arguments, stream)


def _write(opened: Any, arguments: argparse.Namespace, stream: BinaryIO) -> None:
    from m5model.features.writing import WRITERS

    columns = arguments.columns.split(",") if arguments.columns else None
    rows = opened.batches(columns, arguments.limit)
    WRITERS["jsonl" if arguments.json else arguments.format](opened.schema(columns), rows, stream)


def _roll_back(workspace: Workspace, arguments: argparse.Namespace) -> None:
    from m5model.features.rollback import roll_back

    done = roll_back(workspace, arguments.view, arguments.version, space_id=arguments.space)
    sys.stdout.write(_as_line(done.as_json()) if arguments.json else _rollback_as_text(arguments.view, done))


def _rollback_as_text(view: str, done: "Rollback") -> str:
    what = "shows" if done.repeated else "shows again"
    return (
        f"{view} {what} the rows of version {done.now.restored}, as version {done.now.version}\n"
        f"nothing is published over it until `m5 features release {view}`\n"
    )


def _release(workspace: Workspace, arguments: argparse.Namespace) -> None:
    from m5model.features.holds import release_view

    hold = release_view(workspace, arguments.view)
    if arguments.json:
        sys.stdout.write(_as_line({"view": arguments.view, "was_held_at": hold.restored if hold else None}))
    elif hold is None:
        sys.stdout.write(f"{arguments.view} is not held\n")
    else:
        sys.stdout.write(f"{arguments.view} shows version {hold.restored} until it is published again\n")


def _feast(workspace: Workspace, arguments: argparse.Namespace) -> None:
    from m5model.features.feast import write_repository
    from m5model.features.versions import list_views

    views = list(dict.fromkeys(arguments.view or list_views(workspace)))
    written = write_repository(workspace, views, arguments.out, arguments.versions)
    if arguments.json:
        sys.stdout.writelines(_as_line(asdict(one)) for one in written)
        return
    for one in written:
        added = f", added {', '.join(map(str, one.added))}" if one.added else ""
        sys.stdout.write(f"{one.name}: versions {', '.join(map(str, one.versions))}{added}\n")
    sys.stdout.write(f"to use it: cd {arguments.out} && feast apply\n")


def _as_line(values: Any) -> str:
    return json.dumps(values, ensure_ascii=False, default=str) + "\n"
