"""Bring feeds (JSON, CSV, XML, Parquet) into the workspace's tables ``listings`` and ``listing_rejects``.

    spark-submit jobs/ingest_catalog.py --feed FEED... [--workspace ROOT]

Doing it twice over the same feed changes nothing.
"""

import argparse
import sys
from collections.abc import Sequence

from jobs.command_line import add_reject_share, new_parser, run_job, start_run
from schemas.feed_account import list_accounts, sum_accounts
from schemas.report import JobReport

MAX_NAMES_LEFT_OUT = 100  # in a report


def main(argv: Sequence[str] | None = None) -> int:
    return run_job(ingest, argv)


def ingest(argv: Sequence[str] | None) -> JobReport:
    """The job, to be called by another that has set up the log."""
    arguments = _parser().parse_args(argv)

    from m5model.feeds.mapping_files import choose_mapping
    from spark.ingest.ingest import ingest_feed
    from spark.setup.session import job_session

    mapping = choose_mapping(arguments.mapping, arguments.set)
    run = start_run("ingest_catalog", arguments)
    with job_session("m5 ingest_catalog", paths=[run.workspace.root, *arguments.feed]) as spark:
        result = ingest_feed(
            spark,
            run.workspace,
            arguments.feed,
            run_id=run.run_id,
            max_reject_share=arguments.max_reject_share,
            full=arguments.full,
            mapping=mapping,
            encoding=arguments.encoding,
            changes_only=arguments.changes_only,
        )
    empty = ("the feed holds no records",) if not result.accounting.rows_in else ()
    return run.report(
        {
            "files": result.files,
            **sum_accounts(result.accounts),
            "rejected_lines": result.rejected_lines,
            "inserted": result.inserted,
            "updated": result.updated,
            "deleted": result.deleted,
            "deleted_as_absent": result.deleted_as_absent,
            "rejects_of_unknown_key": dict(result.unknown_keys),
            "files_left_out": dict(result.count_left_out()),
            "names_left_out": [file.path for file in result.left_out[:MAX_NAMES_LEFT_OUT]],
            "accounts": list_accounts(result.accounts),
            "repairs": dict(result.repairs),
            "repaired_fields": {name: dict(counts) for name, counts in result.repaired_fields.items()},
            "damaged_fields": {name: dict(counts) for name, counts in result.damaged_fields.items()},
            "languages": dict(result.languages),
        },
        result.accounting,
        (*empty, *result.warnings),
    )


def _parser() -> argparse.ArgumentParser:
    parser = new_parser("Bring feeds into the tables listings and listing_rejects.")
    parser.add_argument(
        "--feed",
        nargs="+",
        required=True,
        metavar="PATH",
        help="files, folders or globs of .jsonl, .json, .csv, .tsv, .xml or .parquet, plain or compressed; local or s3a://",
    )
    add_reject_share(parser, "of the records is rejected")
    parser.add_argument(
        "--full",
        action="store_true",
        help="the feed is complete for the locales it contains: listings of theirs that it is sure to lack are deleted",
    )
    parser.add_argument(
        "--changes-only",
        action="store_true",
        help="of tables of Delta, read what their change feed says since they were ingested last; what was deleted is deleted",
    )
    parser.add_argument(
        "--encoding",
        metavar="NAME",
        help="character set of files of text that are not UTF-8 or UTF-16, e.g. cp1252, cp1254, cp1256, shift-jis, euc-jp",
    )
    parser.add_argument(
        "--mapping",
        metavar="NAME-OR-FILE",
        help="from the feed's fields to ours: a ready mapping (`m5 feed mappings`) or a TOML file; see `m5 feed inspect`",
    )
    parser.add_argument(
        "--set", nargs="+", default=[], metavar="FIELD=VALUE", help="for records that do not say it, e.g. locale=DE"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
