"""m5 inspect BUNDLE: check every byte of a bundle, say what it is and what it passed."""

import argparse
import sys

from m5model.commands._bundle import add_bundle, find_bundle_path

SUMMARY = "check every byte of a bundle and print what it is"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_bundle(parser)
    parser.add_argument("--json", action="store_true", help="print the manifest as one JSON object")


def run(arguments: argparse.Namespace) -> None:
    from m5model.bundles import describe

    manifest = describe.verified_manifest(find_bundle_path(arguments))
    sys.stdout.write(describe.as_json(manifest) if arguments.json else describe.as_text(manifest))
