"""m5 release [BUNDLE --to ALIAS]: which bundle is embedded and published, by what evidence; and back."""

import argparse
import json
import os
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from schemas.errors import ConfigurationError
from schemas.flags import MAX_THREADS, number, whole_number
from schemas.release import ALIASES, WINDOW_DAYS, ReleaseRecord
from schemas.workspace import Workspace

if TYPE_CHECKING:
    from m5model.releases.promotion import Released

SUMMARY = "let an alias name a bundle that holds beside the champion, or go back"
DESCRIPTION = """\
A bundle is compared with the champion on the split test of every label set that a partner learns from: paired, overall and in
every language. Where it is shown to be worse by more than the gate allows, it is refused (exit 4) and the figures are kept.
Else the alias names it: jobs embed and publish the champion where nothing else is asked for.

A champion of another space opens a window: both spaces are embedded, features/VIEW stays with the space that readers know, and
next/features/VIEW has the new one. At the window's end features/VIEW is of the new space.

An MLflow registry (--tracking-uri, else $MLFLOW_TRACKING_URI, else SQLite in the workspace; none: no registry) gets the bundle
as a version of the model m5-student, and the aliases candidate, champion and previous."""
EXAMPLES = """\
examples:
  what is released, and what is served:   m5 release
  a first look beside the champion:       m5 release student-8x384-1a2b3c4d --to candidate
  from now on:                            m5 release student-8x384-1a2b3c4d --to champion --window-days 30
  back to the champion before:            m5 release --rollback

a gate file (TOML) sets what the champion may have more, where that is shown:
  max_gap = 0.01
  max_language_gap = 0.02
  [labels.duplicates]
  max_gap = 0.03
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description, parser.epilog = DESCRIPTION, EXAMPLES
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("bundle", metavar="BUNDLE", nargs="?", help="its id in the workspace; none: say what is released")
    parser.add_argument("--to", choices=ALIASES, help="the alias that is to name it")
    parser.add_argument("--rollback", action="store_true", help="let the champion be the one before")
    parser.add_argument("--close-window", action="store_true", help="move readers to the champion's space now")
    parser.add_argument("--workspace", help="where bundles and label sets lie (default: $M5_WORKSPACE, else ./workspace)")
    parser.add_argument("--gate", metavar="FILE", help="thresholds (TOML), see below; shown gaps of 0.01, 0.02 otherwise")
    parser.add_argument("--labels", action="append", default=[], metavar="NAME", help="a label set, repeatable; all otherwise")
    parser.add_argument(
        "--window-days",
        type=number(0, 3_650),
        default=WINDOW_DAYS,
        metavar="DAYS",
        help="that readers of the old space have; 0: none (default: %(default)g)",
    )
    parser.add_argument("--unmeasured", action="store_true", help="release although there is no label set to compare on")
    parser.add_argument("--tracking-uri", metavar="URI", help="the MLflow database of the registry; none: no registry")
    parser.add_argument("--threads", type=whole_number(0, MAX_THREADS), default=0, help="CPU threads; 0: as many as cores")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(arguments: argparse.Namespace) -> None:
    from m5model.releases.registry import follow_releases
    from m5model.releases.restoring import restore_views
    from m5model.releases.tracking import tracking_uri_of

    workspace = Workspace.resolve(arguments.workspace)
    _require_one_action(arguments)
    if arguments.bundle is None and not arguments.rollback and not arguments.close_window:
        _print(arguments, _state(workspace), _describe(workspace))
        return
    released = _act(workspace, arguments)
    restored = dict(restore_views(workspace)) if arguments.rollback else {}
    warnings = follow_releases(workspace, tracking_uri_of(arguments.tracking_uri, workspace))
    values = {
        "is_new": released.is_new,
        "record": asdict(released.record),
        "evidence": None if released.evidence is None else asdict(released.evidence),
        "restored": restored,
        "warnings": list(warnings),
    }
    told = [*_tell(released), *_tell_restored(restored), *(f"  warning: {one}" for one in warnings)]
    _print(arguments, values, "\n".join(told))


def _require_one_action(arguments: argparse.Namespace) -> None:
    actions = [arguments.bundle is not None, arguments.rollback, arguments.close_window]
    if sum(actions) > 1 or (arguments.bundle is None) != (arguments.to is None):
        raise ConfigurationError(
            "give BUNDLE with --to, or --rollback, or --close-window, or nothing", next_step="see `m5 release --help`"
        )


def _act(workspace: Workspace, arguments: argparse.Namespace) -> "Released":
    from m5model.releases.gate import ReleaseGate, read_gate
    from m5model.releases.promotion import ReleaseRequest, close_window, release, roll_back

    if arguments.rollback or arguments.close_window:
        return roll_back(workspace) if arguments.rollback else close_window(workspace)
    request = ReleaseRequest(
        bundle=arguments.bundle,
        alias=arguments.to,
        gate=read_gate(arguments.gate) if arguments.gate else ReleaseGate(),
        labels=tuple(arguments.labels),
        window_days=arguments.window_days,
        unmeasured=arguments.unmeasured,
        threads=arguments.threads or os.cpu_count() or 1,
    )
    return release(workspace, request)


def _tell(released: "Released") -> list[str]:
    record = released.record
    if not released.is_new:
        return [f"{record.alias} is {record.bundle} since {record.at}: nothing to do"]
    lines = [f"{record.action} {record.number}: {record.alias} is {record.bundle}"]
    if released.evidence is not None:
        lines += [f"  {figure}, {figure.measured_on}" for figure in released.evidence.figures]
    return [*lines, *_tell_window(record)]


def _tell_restored(restored: dict[str, int | None]) -> list[str]:
    again = [f"{view} (version {version})" for view, version in restored.items() if version is not None]
    lost = [view for view, version in restored.items() if version is None]
    lines = [f"  readers see again: {', '.join(again)}"] if again else []
    return [*lines, f"  to be built by jobs/publish_features.py: {', '.join(lost)}"] if lost else lines


def _tell_window(record: ReleaseRecord) -> list[str]:
    window = record.window
    if window is None or not window.is_open(datetime.now(UTC)):
        return []
    return [
        f"  until {window.ends_at}: features/ stays with space {window.old.space_id} ({window.old.bundle}),",
        f"  next/features/ has {window.new.space_id} ({window.new.bundle}); run jobs/refresh_catalog.py",
    ]


def _state(workspace: Workspace) -> dict[str, object]:
    from m5model.bundles.released import list_releases, served_bundles

    releases = list_releases(workspace)
    return {
        "aliases": asdict(releases[-1].aliases) if releases else {},
        "served": [asdict(one) for one in served_bundles(workspace)],
        "releases": [asdict(one) for one in releases],
    }


def _describe(workspace: Workspace) -> str:
    from m5model.bundles.released import list_releases

    releases = list_releases(workspace)
    if not releases:
        return "nothing was released: jobs use the newest student. Begin with `m5 release BUNDLE --to champion`"
    newest = releases[-1]
    named = newest.aliases.named()
    lines = [f"{name:<10}{named[name].bundle if name in named else '-'}" for name in ("champion", "candidate", "previous")]
    lines += _tell_window(newest)
    lines += [f"{one.number:>4}  {one.at}  {one.action:<9}{one.alias} → {one.bundle}" for one in reversed(releases)]
    return "\n".join(lines)


def _print(arguments: argparse.Namespace, values: dict[str, object], text: str) -> None:
    sys.stdout.write((json.dumps(values, ensure_ascii=False) if arguments.json else text) + "\n")
