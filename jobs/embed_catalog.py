"""Give every listing a vector: the newest student, broadcast to the executors, embeds what is missing.

    spark-submit jobs/embed_catalog.py [--bundle ID-OR-PATH] [--workspace ROOT]

Killed and started again, it does only what is left. On a cluster set spark.executor.cores: it becomes the number of threads
that share one model.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace

from jobs.command_line import add_reject_share, new_parser, require_workspace, run_job, start_run
from jobs.flags import number, whole_number
from schemas.report import JobReport, JsonValue


def main(argv: Sequence[str] | None = None) -> int:
    return run_job(embed, argv)


def embed(argv: Sequence[str] | None) -> JobReport:
    """The job, to be called by another that has set up the log."""
    arguments = _parser().parse_args(argv)
    require_workspace(arguments)

    from m5model.bundles.find import find_bundle, open_bundle
    from m5model.runtime.encoder import read_model
    from spark.embedding.embed import EmbedSettings, embed_catalog, plan_catalog
    from spark.embedding.engine import engine_settings
    from spark.setup.parallelism import executor_cores
    from spark.setup.session import job_session

    settings = EmbedSettings(
        threads=1,  # until the session says how many cores an executor has
        run_id=arguments.run_id,
        rows_per_wave=arguments.rows_per_wave,
        max_reject_share=arguments.max_reject_share,
    )
    run = start_run("embed_catalog", arguments, None if arguments.dry_run else arguments.run_id)
    folder, manifest = open_bundle(find_bundle(run.workspace, arguments.bundle, "student"))
    model = read_model(folder, manifest, arguments.precision)
    identity: dict[str, JsonValue] = {"bundle": manifest.id, "space_id": model.space_id}
    with job_session("m5 embed_catalog", paths=[run.workspace.root], settings=engine_settings) as spark:
        settings = replace(settings, threads=executor_cores(spark.sparkContext.getConf()) or 1)
        if arguments.dry_run:
            plan = plan_catalog(spark, run.workspace, model, settings)
            return run.report({**identity, "dry_run": True, **plan.as_json(arguments.price_per_hour)})
        result = embed_catalog(spark, run.workspace, model, settings)
    run.run_id = result.run_id
    return run.report(
        {
            **identity,
            "listings_version": result.listings_version,
            "removed": result.removed,
            **result.totals.as_json(arguments.price_per_hour),
        },
        result.accounting,
    )


def _parser() -> argparse.ArgumentParser:
    parser = new_parser("Give every listing a vector of its present text.")
    parser.add_argument(
        "--bundle", metavar="ID-OR-PATH", help="student to embed with; the newest student of the workspace otherwise"
    )
    parser.add_argument("--run-id", metavar="ID", help="name of the run; a hash of (listings version, space) otherwise")
    parser.add_argument("--precision", choices=("int8", "fp32"), default="int8", help="which of the student's graphs")
    parser.add_argument("--rows-per-wave", type=whole_number(), metavar="N", help="rows of one commit; 25,000 a core otherwise")
    add_reject_share(parser, "of the texts make the model fail")
    parser.add_argument(
        "--price-per-hour", type=number(0, 1e9), metavar="PRICE", help="of all executors together; adds costs to the report"
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="say what would be done, in rows, tokens, time and cost; do nothing"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
