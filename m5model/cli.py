"""The ``m5`` command: the toolkit without Spark.

m5 inspect BUNDLE            check every byte, say what it is and what it passed
m5 encode BUNDLE "a text"    vectors as JSON Lines, or into a .npy file
m5 sets list                 the versions of the workspace's training sets
m5 sets diff OLD NEW         rows added, gone and changed, and the languages' shares
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from m5model import toolkit
from m5model.bundles import describe as inspection
from m5model.bundles.find import find_bundle
from m5model.data.set_versions import compare_versions, find_training_set, list_training_sets
from m5model.reports import set_listing
from schemas.errors import ConfigurationError, M5Error
from schemas.workspace import Workspace


def main(argv: Sequence[str] | None = None) -> int:
    """Run one subcommand; the exit code is 0, or that of the M5Error, whose message goes to stderr."""
    arguments = _parser().parse_args(argv)
    try:
        arguments.run(arguments)
    except M5Error as error:
        sys.stderr.write(f"m5 {arguments.command}: {error}\n")
        return int(error.exit_code)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="m5", description="M5's toolkit: bundles and training sets, without Spark.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    inspect = _add_command(commands, "inspect", _inspect, "check every byte of a bundle and print what it is")
    inspect.add_argument("--json", action="store_true", help="print the manifest as one JSON object")
    encode = _add_command(commands, "encode", _encode, "turn texts into unit vectors")
    encode.add_argument("text", nargs="*", metavar="TEXT", help="texts to encode; without any, the lines of standard input")
    encode.add_argument("--out", metavar="FILE.npy", help="write a float32 array (texts, dimensions) instead of JSON Lines")
    encode.add_argument("--precision", choices=("int8", "fp32"), default="int8", help="which graph runs (default: %(default)s)")
    encode.add_argument("--threads", type=int, default=1, help="calls side by side; changes no vector (default: %(default)s)")
    sets = commands.add_parser("sets", help="list and compare versions of training sets").add_subparsers(
        dest="sets_command", required=True, metavar="list|diff"
    )
    listed = _add_sets_command(sets, "list", _list_sets, "the versions that there are, oldest first")
    listed.add_argument("--json", action="store_true", help="one JSON object a line: the manifests")
    compared = _add_sets_command(sets, "diff", _compare_sets, "rows added, gone and changed from OLD to NEW")
    compared.add_argument("old", metavar="OLD", help="NAME/VERSION, or NAME for its newest version, or a path")
    compared.add_argument("new", metavar="NEW", help="the same")
    compared.add_argument("--json", action="store_true", help="print one JSON object")
    return parser


def _add_sets_command(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
    name: str,
    run: Callable[[argparse.Namespace], None],
    summary: str,
) -> argparse.ArgumentParser:
    command = commands.add_parser(name, help=summary, description=summary)
    command.add_argument("--workspace", help="where sets lie (default: $M5_WORKSPACE, else ./workspace)")
    command.set_defaults(run=run)
    return command


def _list_sets(arguments: argparse.Namespace) -> None:
    manifests = list_training_sets(Workspace.resolve(arguments.workspace))
    sys.stdout.write(set_listing.manifests_as_lines(manifests) if arguments.json else set_listing.manifests_as_table(manifests))


def _compare_sets(arguments: argparse.Namespace) -> None:
    workspace = Workspace.resolve(arguments.workspace)
    found = compare_versions(find_training_set(workspace, arguments.old), find_training_set(workspace, arguments.new))
    as_json = json.dumps(found.as_json(), ensure_ascii=False) + "\n"
    sys.stdout.write(as_json if arguments.json else set_listing.difference_as_text(found))


def _add_command(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
    name: str,
    run: Callable[[argparse.Namespace], None],
    summary: str,
) -> argparse.ArgumentParser:
    command = commands.add_parser(name, help=summary, description=summary)
    command.add_argument("bundle", metavar="BUNDLE", help="its id in the workspace, or its path")
    command.add_argument("--workspace", help="where ids are looked up (default: $M5_WORKSPACE, else ./workspace)")
    command.set_defaults(run=run)
    return command


def _inspect(arguments: argparse.Namespace) -> None:
    manifest = inspection.verified_manifest(_bundle(arguments))
    sys.stdout.write(inspection.as_json(manifest) if arguments.json else inspection.as_text(manifest))


def _encode(arguments: argparse.Namespace) -> None:
    if arguments.threads < 1:
        raise ConfigurationError(f"--threads is {arguments.threads}, expected 1 or more")
    encoder = toolkit.load(_bundle(arguments), arguments.precision, arguments.threads)
    texts = arguments.text or [line.rstrip("\n") for line in sys.stdin]
    vectors_BD = encoder.encode(texts)
    if not arguments.out:
        sys.stdout.writelines(_vector_lines(texts, vectors_BD))
        return
    try:
        np.save(arguments.out, vectors_BD)
    except OSError as error:
        raise ConfigurationError(
            f"cannot write {arguments.out}: {error}", next_step="give a path that can be written"
        ) from error


def _vector_lines(texts: list[str], vectors_BD: np.ndarray) -> Iterator[str]:
    for text, vector_D in zip(texts, vectors_BD, strict=True):
        yield json.dumps({"text": text, "vector": vector_D.tolist()}, ensure_ascii=False) + "\n"


def _bundle(arguments: argparse.Namespace) -> str:
    return find_bundle(Workspace.resolve(arguments.workspace), arguments.bundle, "student")
