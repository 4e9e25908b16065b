"""The arguments of commands that work on one bundle."""

import argparse
import re

from schemas.workspace import Workspace


def add_bundle(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("bundle", metavar="BUNDLE", help="its id in the workspace, or its path")
    parser.add_argument("--workspace", help="where ids are looked up (default: $M5_WORKSPACE, else ./workspace)")


def find_bundle_path(arguments: argparse.Namespace) -> str:
    """Path of the bundle that was named. Raises ConfigurationError where there is none."""
    from m5model.bundles.find import find_bundle

    return find_bundle(Workspace.resolve(arguments.workspace), arguments.bundle, "student")


def add_space(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--space",
        metavar="SPACE-ID-OR-BUNDLE",
        help="refuse unless the vectors may be compared with those of this space, or of this bundle",
    )


def find_space(arguments: argparse.Namespace) -> str | None:
    """The id of the space that ``--space`` names. Raises ConfigurationError where it names no bundle either."""
    from m5model.bundles.find import find_bundle, read_manifest

    if arguments.space is None or re.fullmatch(r"[0-9a-f]{16}", arguments.space):
        return arguments.space  # type: ignore[no-any-return]
    return read_manifest(find_bundle(Workspace.resolve(arguments.workspace), arguments.space, "student")).space_id
