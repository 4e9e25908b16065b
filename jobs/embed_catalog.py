"""Give every listing a vector: the champion (m5 release), else the newest student, is broadcast and embeds what is missing.

    spark-submit jobs/embed_catalog.py [--bundle ID-OR-PATH] [--workspace ROOT]

Killed and started again, it does only what is left. While a release's window is open, both spaces are embedded. On a cluster
set spark.executor.cores: it becomes the number of threads that share one model.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from jobs.command_line import add_reject_share, new_parser, require_workspace, run_job, start_run
from jobs.flags import number, whole_number
from schemas.report import JobReport, JsonValue
from schemas.workspace import Workspace

if TYPE_CHECKING:
    from m5model.runtime.encoder import ModelBytes
    from spark.embedding.embed import EmbedResult

Figures = dict[str, JsonValue]


def main(argv: Sequence[str] | None = None) -> int:
    return run_job(embed, argv)


def embed(argv: Sequence[str] | None) -> JobReport:
    """The job, to be called by another that has set up the log."""
    arguments = _parser().parse_args(argv)
    require_workspace(arguments)

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
    models = open_models(run.workspace, arguments)
    results: list[EmbedResult] = []
    with job_session("m5 embed_catalog", paths=[run.workspace.root], settings=engine_settings) as spark:
        settings = replace(settings, threads=executor_cores(spark.sparkContext.getConf()) or 1)
        if arguments.dry_run:
            plans = (plan_catalog(spark, run.workspace, model, settings) for model in models.values())
            said = [{"dry_run": True, **plan.as_json(arguments.price_per_hour)} for plan in plans]
            return run.report(_by_space(models, said))
        for model in models.values():
            results.append(embed_catalog(spark, run.workspace, model, settings))
            settings = replace(settings, run_id=None)  # the name is that of the first space's run
    run.run_id = results[0].run_id
    figures = [_figures(result, arguments.price_per_hour) for result in results]
    for one, result in zip(figures[1:], results[1:], strict=True):
        result.accounting.verify(run.job)
        one["accounting"] = result.accounting.as_json()
    return run.report(_by_space(models, figures), results[0].accounting)


def open_models(workspace: Workspace, arguments: argparse.Namespace) -> "dict[str, ModelBytes]":
    """Graphs by the bundle's id: of the one that is named, else of those that are released, else of the newest student."""
    from m5model.bundles.find import find_bundle, open_bundle
    from m5model.bundles.released import served_bundles
    from m5model.runtime.encoder import read_model

    named = [arguments.bundle] if arguments.bundle else [one.bundle for one in served_bundles(workspace)]
    opened = (open_bundle(find_bundle(workspace, reference, "student")) for reference in named or [None])
    return {manifest.id: read_model(folder, manifest, arguments.precision) for folder, manifest in opened}


def _figures(result: "EmbedResult", price_per_hour: float | None) -> Figures:
    done: Figures = {"listings_version": result.listings_version, "removed": result.removed}
    return {**done, **result.totals.as_json(price_per_hour)}


def _by_space(models: "dict[str, ModelBytes]", figures: Sequence[Figures]) -> Figures:
    """Returns those of the space that readers have; while a release's window is open, those of the coming one as ``next``."""
    first, *coming = (
        {"bundle": bundle, "space_id": model.space_id, **its}
        for (bundle, model), its in zip(models.items(), figures, strict=True)
    )
    return {**first, **({"next": coming[0]} if coming else {})}


def _parser() -> argparse.ArgumentParser:
    parser = new_parser("Give every listing a vector of its present text.")
    parser.add_argument(
        "--bundle", metavar="ID-OR-PATH", help="student to embed with; the champion otherwise, else the newest student"
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
