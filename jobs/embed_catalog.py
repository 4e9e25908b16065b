"""Give every listing a vector: the newest student, broadcast to the executors, embeds what is missing.

    spark-submit jobs/embed_catalog.py [--bundle ID-OR-PATH] [--workspace ROOT]

Killed and started again, it does only what is left. On a cluster set spark.executor.cores: it becomes the number of threads
that share one model.
"""

import sys
from collections.abc import Sequence

from jobs.command_line import new_parser, require_workspace, run_job, start_run


def main(argv: Sequence[str] | None = None) -> int:
    return run_job(_work, argv)


def _work(argv: Sequence[str] | None) -> None:
    parser = new_parser("Give every listing a vector of its present text.")
    parser.add_argument(
        "--bundle", metavar="ID-OR-PATH", help="student to embed with; the newest student of the workspace otherwise"
    )
    parser.add_argument("--run-id", metavar="ID", help="name of the run; a hash of (listings version, space) otherwise")
    parser.add_argument("--precision", choices=("int8", "fp32"), default="int8", help="which of the student's graphs")
    parser.add_argument("--rows-per-wave", type=int, metavar="N", help="rows of one commit; 25,000 a core otherwise")
    arguments = parser.parse_args(argv)
    require_workspace(arguments)

    from m5model.bundles import find_bundle, open_bundle
    from m5model.rendering import Rendering
    from m5model.runtime.encoder import read_model
    from spark.embedding.embed import default_run_id, embed_catalog, pin_version
    from spark.embedding.engine import engine_settings
    from spark.parallelism import executor_cores
    from spark.session import build_session

    run = start_run("embed_catalog", arguments, arguments.run_id)
    folder, manifest = open_bundle(find_bundle(run.workspace, arguments.bundle, "student"))
    model = read_model(folder, manifest, arguments.precision)
    spark = build_session("m5 embed_catalog", paths=[run.workspace.root], settings=engine_settings)
    if arguments.run_id is None:
        run.run_id = default_run_id(pin_version(spark, run.workspace, None), model.space_id)
    result = embed_catalog(
        spark,
        run.workspace,
        model,
        Rendering.from_json(manifest.rendering),
        threads=executor_cores(spark.sparkContext.getConf()) or 1,
        run_id=run.run_id,
        rows_per_wave=arguments.rows_per_wave,
    )
    totals = result.totals
    run.report(
        {
            "bundle": manifest.id,
            "space_id": model.space_id,
            "listings_version": result.listings_version,
            "waves": result.waves,
            "removed": result.removed,
            "rows_per_s": round(totals.rows / totals.seconds, 1) if totals.seconds else 0.0,
            "tokens": totals.tokens,
            "padding_waste": round(totals.padding_waste, 4),
            "truncated": totals.truncated,
            "rows_by_locale": dict(sorted(totals.rows_by_locale.items())),
        },
        result.accounting,
    )
    spark.stop()


if __name__ == "__main__":
    sys.exit(main())
