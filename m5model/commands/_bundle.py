"""The arguments of commands that work on one bundle."""

import argparse

from schemas.workspace import Workspace


def add_bundle(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("bundle", metavar="BUNDLE", help="its id in the workspace, or its path")
    parser.add_argument("--workspace", help="where ids are looked up (default: $M5_WORKSPACE, else ./workspace)")


def find_bundle_path(arguments: argparse.Namespace) -> str:
    """Path of the bundle that was named. Raises ConfigurationError where there is none."""
    from m5model.bundles.find import find_bundle

    return find_bundle(Workspace.resolve(arguments.workspace), arguments.bundle, "student")
