"""Bring labels in: a feed of pairs, classes, attributes, relevance, clicks or sessions becomes a pinned label set.

    python jobs/import_labels.py --kind pairs --feed pairs.parquet --name duplicates --map is_match=label

Splits are drawn by entity, so that test products are unseen, unless --keep-splits takes the feed's own. The same feed gives the
same version; nothing is written twice. Spark starts only where rows name listings by key.
"""

import argparse
import sys
from collections.abc import Sequence

from jobs.command_line import add_reject_share, new_parser, run_job, start_run
from jobs.flags import whole_number
from schemas.checks import require_name
from schemas.labels import LABEL_KINDS


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit code: 0, 2 for bad arguments, 3 where too many rows are rejected."""
    return run_job(_work, argv)


def _work(argv: Sequence[str] | None) -> None:
    arguments = _parser().parse_args(argv)

    from m5model.feeds.sources import find_feed_files
    from m5model.labels.reading import read_columns, read_rows
    from m5model.labels.splitting import SplitPlan, read_shares
    from spark.labels.import_labels import ImportSettings, Key, Pinned, import_labels

    require_name("--name", arguments.name)
    kind = LABEL_KINDS[arguments.kind]
    columns = read_columns(kind, arguments.map, arguments.set)
    split = SplitPlan(keep=arguments.keep_splits, seed=arguments.split_seed, shares=read_shares(arguments.shares))
    files = find_feed_files(arguments.feed)
    run = start_run("import_labels", arguments)

    def pin(keys: list[Key]) -> Pinned:
        from spark.labels.pinning import pin_listings
        from spark.setup.session import job_session

        with job_session("m5 import_labels", paths=[run.workspace.root]) as spark:
            return pin_listings(spark, run.workspace, keys)

    settings = ImportSettings(
        name=arguments.name,
        kind=kind,
        columns=columns,
        split=split,
        source=", ".join(arguments.feed),
        max_reject_share=arguments.max_reject_share,
    )
    result = import_labels(run.workspace, settings, read_rows(files), pin)
    manifest = result.manifest
    run.report(
        {
            "label_set": f"{manifest.name}/{manifest.version}",
            "kind": manifest.kind,
            "is_new": result.is_new,
            "content_hash": manifest.content_hash,
            "listings_version": manifest.listings_version,
            "listings": manifest.listings,
            "rows_by_split": dict(manifest.rows_by_split),
            "entities_by_split": dict(manifest.entities_by_split),
            "novelty": {split: dict(counts) for split, counts in manifest.novelty.items()},
        },
        result.accounting,
        files.warnings,
    )


def _parser() -> argparse.ArgumentParser:
    parser = new_parser("Bring labels in: a feed becomes a pinned label set.")
    parser.add_argument("--kind", choices=list(LABEL_KINDS), required=True, help="what the labels say")
    parser.add_argument(
        "--feed", nargs="+", required=True, metavar="PATH", help=".jsonl, .csv or .parquet; files, folders, globs; or s3a://"
    )
    parser.add_argument("--name", required=True, help="name of the label set")
    parser.add_argument(
        "--map",
        nargs="+",
        default=[],
        metavar="COLUMN=SOURCE",
        help="columns of the kind that have other names in the feed; SOURCE+SOURCE joins several into one text",
    )
    parser.add_argument("--set", nargs="+", default=[], metavar="COLUMN=VALUE", help="the same value in every row")
    parser.add_argument("--split-seed", type=whole_number(), default=0, help="which entities are in which split")
    parser.add_argument("--shares", default="learn=.8,validate=.1,test=.1", help="of entities, by split")
    parser.add_argument("--keep-splits", action="store_true", help="take the splits that the feed brings")
    add_reject_share(parser, "of the rows is rejected")
    return parser


if __name__ == "__main__":
    sys.exit(main())
