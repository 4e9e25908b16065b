"""The schedule's entry: bring in what the feeds have new, embed what changed, publish what depends on it. One report.

    spark-submit jobs/refresh_catalog.py [--feed FEED...] [--workspace ROOT]

Safe to call twice, and after a kill: every stage does what is missing. Each stage runs as a Spark application of its own,
because embedding wants one Python worker per executor and the others want one per core.
"""

import argparse
import sys
from collections.abc import Callable, Sequence

from jobs import embed_catalog, ingest_catalog, publish_features
from jobs.catalog_flags import add_catalog_flags
from jobs.command_line import add_reject_share, new_parser, require_workspace, run_job, start_run
from jobs.flags import JobParser
from schemas.report import JobReport


def main(argv: Sequence[str] | None = None) -> int:
    return run_job(refresh, argv)


def refresh(argv: Sequence[str] | None) -> JobReport:
    """The stages, one after the other. A stage that refuses ends the run with its exit code; what was done stays done."""
    arguments = _parser().parse_args(argv)
    if not arguments.feed:
        require_workspace(arguments)
    run = start_run("refresh_catalog", arguments)
    shared = _flags(arguments, "workspace", "tracking_uri")
    stages: dict[str, tuple[Callable[[Sequence[str] | None], JobReport], list[str]]] = {
        "embed": (embed_catalog.embed, [*shared, *_flags(arguments, "bundle")]),
        "publish": (publish_features.publish, [*shared, *_flags(arguments, "database", "catalog")]),
    }
    if arguments.feed:
        full = ["--full"] if arguments.full else []
        ingest_flags = [*shared, *full, *_flags(arguments, "max_reject_share"), "--feed", *arguments.feed]
        stages = {"ingest": (ingest_catalog.ingest, ingest_flags), **stages}
    reports = {name: stage(flags) for name, (stage, flags) in stages.items()}
    warnings = [f"{name}: {warning}" for name, report in reports.items() for warning in report.warnings]
    return run.report({"stages": {name: report.as_json() for name, report in reports.items()}}, warnings=warnings)


def _parser() -> JobParser:
    parser = new_parser("Ingest, embed what changed, publish: what a scheduler calls.")
    parser.add_argument("--feed", nargs="+", metavar="PATH", help="feeds to bring in first; nothing is ingested otherwise")
    parser.add_argument("--full", action="store_true", help="of ingest: the feeds are complete for the locales they contain")
    add_catalog_flags(parser)
    parser.add_argument("--bundle", metavar="ID-OR-PATH", help="student to embed with; the newest student otherwise")
    add_reject_share(parser, "of the feeds' records is rejected")
    return parser


def _flags(arguments: argparse.Namespace, *names: str) -> list[str]:
    """The arguments of these names that were given, as a command line has them."""
    given = {name: getattr(arguments, name) for name in names}
    return [part for name, value in given.items() if value is not None for part in (f"--{name.replace('_', '-')}", str(value))]


if __name__ == "__main__":
    sys.exit(main())
