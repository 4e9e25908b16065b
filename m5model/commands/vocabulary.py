"""m5 vocabulary trim --init CHECKPOINT --size TOKENS: a checkpoint with the pieces that a training set uses."""

import argparse
import sys
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from schemas.flags import whole_number
from schemas.workspace import Workspace

if TYPE_CHECKING:
    from schemas.bundle import BundleManifest

SUMMARY = "cut the vocabulary of a checkpoint to what a training set uses"

_COLUMNS = {
    "kept_share": "kept",
    "unchanged_share": "texts as before",
    "tokens_before": "tokens before",
    "tokens_after": "after",
    "tokens_per_word": "per word",
    "byte_share": "bytes",
}
_SHARES = ("kept_share", "unchanged_share", "byte_share")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(dest="vocabulary_command", required=True, metavar="trim")
    summary = "keep the pieces used most; the rest is spelt in smaller pieces or bytes. Makes a bundle."
    trim = commands.add_parser("trim", help=summary, description=summary, allow_abbrev=False)
    trim.add_argument("--init", required=True, metavar="CHECKPOINT", help='"starter", a bundle, a folder, or a name of the hub')
    trim.add_argument("--training-set", metavar="NAME[/VERSION]", help="whose texts choose (default: the newest)")
    tokens = whole_number(1)
    trim.add_argument("--size", required=True, type=tokens, metavar="TOKENS", help="tokens to keep at most, e.g. 32000")
    trim.add_argument("--workspace", help="where sets and bundles lie (default: $M5_WORKSPACE, else ./workspace)")


def run(arguments: argparse.Namespace) -> None:
    from m5model.bundles.sources import open_source
    from m5model.data.set_versions import find_training_set
    from m5model.data.training_sets import open_training_set
    from m5model.encoders.huggingface import read_geometry
    from m5model.export.teacher import train_teacher
    from m5model.training.recipes import from_weights

    workspace = Workspace.resolve(arguments.workspace)
    path = find_training_set(workspace, arguments.training_set)
    source = open_source(workspace, arguments.init)
    geometry = read_geometry(source.folder, vocabulary_size=arguments.size)
    recipe = from_weights(geometry, source.origin, vocabulary_size=arguments.size)
    manifest = train_teacher(workspace, open_training_set(path, source.rendering), recipe, source=source)
    sys.stdout.writelines(_report(manifest))


def _report(manifest: "BundleManifest") -> Iterator[str]:
    """A table: what trimming costs each language."""
    yield f"{manifest.id}: {manifest.vocabulary_size:,} tokens, {manifest.parameters / 1e6:.1f}M parameters\n"
    by_language: dict[str, dict[str, float]] = {}
    for figure in manifest.gate:
        name, _, language = figure.name.removeprefix("vocabulary_").rpartition("_")
        by_language.setdefault(language, {})[name] = float(figure.value or 0)
    yield f"{'':<4}" + "".join(f"{title:>17}" for title in _COLUMNS.values()) + "\n"
    for language, values in by_language.items():
        yield f"{language:<4}" + "".join(_cell(values, name) for name in _COLUMNS) + "\n"


def _cell(values: Mapping[str, float], name: str) -> str:
    return f"{values[name]:>17.2%}" if name in _SHARES else f"{values[name]:>17.2f}"
