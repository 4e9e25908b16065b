"""m5 inspect BUNDLE: check every byte of a bundle, say what it is and what it passed.

m5 inspect BUNDLE --html FILE: the model as a page: its weights and activations, what it attends to, a map of listings, and who
is near whom and why.
"""

import argparse
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from m5model.commands._bundle import add_bundle, find_bundle_path
from m5model.commands._listings import add_listings, read_listings
from schemas.flags import MAX_THREADS, whole_number

if TYPE_CHECKING:
    from schemas.bundle import BundleManifest

SUMMARY = "check every byte of a bundle and print what it is; or make a page that shows the model"
MAX_SAMPLE = 2_000  # listings: a map of neighbourhoods costs the square of them
NEEDED = ("torch", "transformers", "jinja2")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_bundle(parser)
    parser.add_argument("--json", action="store_true", help="print the manifest as one JSON object")
    parser.add_argument("--html", metavar="FILE", help="write one self-contained page that shows the model on listings")
    add_listings(parser)
    parser.add_argument(
        "--sample", type=whole_number(1, MAX_SAMPLE), default=400, help="listings of the page at most (default: %(default)s)"
    )
    parser.add_argument(
        "--threads", type=whole_number(1, MAX_THREADS), default=1, help="CPU threads of the page's work (default: %(default)s)"
    )


def run(arguments: argparse.Namespace) -> None:
    from m5model.bundles import describe
    from m5model.bundles.find import open_bundle

    path = find_bundle_path(arguments)
    page = _start_page(arguments) if arguments.html else None
    folder, manifest = open_bundle(path)
    sys.stdout.write(describe.as_json(manifest) if arguments.json else describe.as_text(manifest))
    said = f"page: {page(folder, manifest)}" if page else f"to see the model: m5 inspect {arguments.bundle} --html FILE"
    if not arguments.json:
        sys.stdout.write(f"\n{said}\n")


def _start_page(arguments: argparse.Namespace) -> "Callable[[Path, BundleManifest], str]":
    """Read the listings; what is returned makes and writes the page of an opened bundle, and gives the file's name."""
    _require_place(arguments.html)
    source, listings = read_listings(arguments)

    def finish(folder: Path, manifest: "BundleManifest") -> str:
        from m5model.files import storage
        from m5model.reports.model.gather import PageRequest, gather_facts
        from m5model.reports.model.page import render_page

        request = PageRequest(
            folder=folder,
            manifest=manifest,
            listings=listings,
            source=source,
            sample=arguments.sample,
            threads=arguments.threads,
        )
        storage.write_bytes(arguments.html, render_page(gather_facts(request)).encode())
        return str(arguments.html)

    return finish


def _require_place(file: str) -> None:
    """Say what is missing before the work begins, not after it."""
    from m5model.files import storage
    from schemas.errors import ConfigurationError

    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        raise ConfigurationError(
            f"a page of a model takes {', '.join(missing)}",
            next_step="install the extras: python -m pip install -c constraints.txt -e '.[train,evaluate]'",
        )
    if storage.is_remote(file):
        return
    if not Path(file).parent.is_dir():
        raise ConfigurationError(f"--html {file}: there is no folder {Path(file).parent}", next_step="make it, or name another")
    if Path(file).is_dir():
        raise ConfigurationError(f"--html {file} is a folder", next_step="name a file in it")
