"""m5 feed inspect FILE: what a file of a feed is, which mapping fits it, and what its records would become."""

import argparse
import json
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from m5model.feeds.inspection import Inspection

SUMMARY = "look at a file of a feed without writing anything; list the ready mappings"
_VALUE_CHARACTERS = 100
_NAMES = 40


def add_arguments(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(dest="feed_command", required=True, metavar="inspect|mappings")
    summary = "what the file is, a mapping for it, ten records as they would become listings, and what would be rejected"
    inspect = commands.add_parser("inspect", help=summary, description=summary, allow_abbrev=False)
    inspect.add_argument("file", metavar="FILE", help=".jsonl, .json, .csv, .tsv, .xml or .parquet, plain or compressed")
    inspect.add_argument("--mapping", metavar="NAME-OR-FILE", help="a ready mapping or a file; the one that fits otherwise")
    inspect.add_argument("--set", nargs="+", default=[], metavar="FIELD=VALUE", help="for records without it, e.g. locale=DE")
    inspect.add_argument("--encoding", metavar="NAME", help="its character set, where it is not UTF-8 or UTF-16")
    inspect.add_argument("--json", action="store_true", help="print one JSON object")
    commands.add_parser("mappings", help="the ready mappings", description="the ready mappings", allow_abbrev=False)


def run(arguments: argparse.Namespace) -> None:
    from m5model.feeds.mapping_files import read_constants, read_mapping, ready_names

    if arguments.feed_command == "mappings":
        sys.stdout.writelines(f"{name:<20}{read_mapping(name).title}\n" for name in ready_names())
        return
    from dataclasses import asdict

    from m5model.feeds.charsets import find_codec_of
    from m5model.feeds.inspection import inspect_file
    from m5model.feeds.sources import find_feed_files
    from schemas.errors import ConfigurationError

    constants = read_constants(arguments.set)
    mapping = read_mapping(arguments.mapping) if arguments.mapping else None
    encoding = find_codec_of(arguments.encoding) if arguments.encoding else ""
    files = find_feed_files([arguments.file], encoding=encoding).files
    if not files:
        raise ConfigurationError(f"there is nothing to read in {arguments.file}", next_step="give a file of a feed")
    found = inspect_file(files[0], mapping, constants)
    as_json = json.dumps(asdict(found), ensure_ascii=False, default=str) + "\n"
    sys.stdout.writelines([as_json] if arguments.json else _lines(found, files[0].path))


def _lines(found: "Inspection", path: str) -> Iterator[str]:
    yield f"{path}: {found.form}\n"
    yield f"fields: {', '.join(found.names[:_NAMES])}{' …' if len(found.names) > _NAMES else ''}\n"
    if found.applied:
        yield f"mapping: {found.applied}; spark-submit jobs/ingest_catalog.py --feed {path} --mapping {found.applied}\n"
    elif not {"item_id", "title"} <= set(found.names):
        yield "mapping: none fits; write one (the docstring of m5model/feeds/mapping_files.py shows how)\n"
    for listing in found.listings:
        yield "\n"
        for name, value in listing.items():
            text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
            yield f"  {name:<12}{text[:_VALUE_CHARACTERS]}\n"
    yield f"\nof the first {found.records:,} records would be rejected: {_rejects(found)}\n"


def _rejects(found: "Inspection") -> str:
    return ", ".join(f"{name} {count:,}" for name, count in found.problems.items()) or "none that can be told from one record"
