"""Draw a language-balanced training set from the listings and pin it as an immutable version.

    spark-submit jobs/sample_training_set.py --name NAME --plan cap-floor [--workspace ROOT]

The same plan and seed on the same listings give the same version; nothing is written twice.
"""

import sys
from collections.abc import Sequence

from jobs.command_line import new_parser, require_workspace, run_job, start_run
from jobs.flags import whole_number
from schemas.checks import require_name


def main(argv: Sequence[str] | None = None) -> int:
    return run_job(_work, argv)


def _work(argv: Sequence[str] | None) -> None:
    parser = new_parser("Draw a language-balanced training set and pin it as an immutable version.")
    parser.add_argument("--name", default="default", help="name of the training set")
    parser.add_argument(
        "--plan",
        default="cap-floor",
        help="cap-floor (no language above 25%%, each at least 5%%), multinomial, unimax, natural, or a JSON file with the "
        "keys plan (one of these), rows, floor, cap, exponent, max_repeats, unit (rows or tokens)",
    )
    parser.add_argument("--seed", type=whole_number(), default=0, help="which rows are drawn")
    parser.add_argument("--vocabulary", metavar="BUNDLE", help="bundle whose vocabulary counts tokens; characters otherwise")
    parser.add_argument("--keep-duplicates", action="store_true", help="draw exact and near duplicates, too")
    arguments = parser.parse_args(argv)

    from m5model.bundles.find import find_bundle
    from spark.sampling.plans import read_plan
    from spark.sampling.sample import SampleSettings, sample_training_set
    from spark.setup.session import job_session

    require_name("--name", arguments.name)
    require_workspace(arguments)
    plan = read_plan(arguments.plan)
    run = start_run("sample_training_set", arguments)
    vocabulary = find_bundle(run.workspace, arguments.vocabulary, "student") if arguments.vocabulary else None
    settings = SampleSettings(
        name=arguments.name,
        plan=plan,
        seed=arguments.seed,
        vocabulary=vocabulary,
        keep_duplicates=arguments.keep_duplicates,
    )
    with job_session("m5 sample_training_set", paths=[run.workspace.root]) as spark:
        result = sample_training_set(spark, run.workspace, settings)
    manifest = result.manifest
    run.report(
        {
            "training_set": f"{manifest.name}/{manifest.version}",
            "is_new": result.is_new,
            "content_hash": manifest.content_hash,
            "available_rows_by_language": dict(manifest.available_rows_by_language),
            "rows_by_language": dict(manifest.rows_by_language),
            "listings_by_language": dict(manifest.listings_by_language),
            "duplicates_by_locale": {name: dict(counts) for name, counts in manifest.duplicates_by_locale.items()},
            "rows_by_locale": dict(manifest.rows_by_locale),
            "token_unit": manifest.token_unit,
            "tokens_by_language": dict(manifest.tokens_by_language),
        },
        result.accounting,
    )


if __name__ == "__main__":
    sys.exit(main())
