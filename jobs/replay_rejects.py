"""Run kept rejects through the rules again, after a rule was changed or a repair was added.

    spark-submit jobs/replay_rejects.py [--reason NAME...] [--workspace ROOT]

Records that pass now become listings as if they came in a feed (an older record does not replace a newer one) and leave
``listing_rejects``; the others stay there.
"""

import sys
from collections.abc import Sequence

from jobs.command_line import new_parser, require_workspace, run_job, start_run
from schemas.report import JsonValue


def main(argv: Sequence[str] | None = None) -> int:
    return run_job(_work, argv)


def _work(argv: Sequence[str] | None) -> None:
    parser = new_parser("Run kept rejects through the rules again.")
    parser.add_argument(
        "--reason", nargs="+", default=[], metavar="NAME", help="only rejects with one of these reasons; all otherwise"
    )
    arguments = parser.parse_args(argv)
    require_workspace(arguments)

    from spark.ingest.replay import replay_rejects
    from spark.setup.session import job_session

    run = start_run("replay_rejects", arguments)
    with job_session("m5 replay_rejects", paths=[run.workspace.root]) as spark:
        result = replay_rejects(spark, run.workspace, run_id=run.run_id, reasons=arguments.reason)
    figures: dict[str, JsonValue] = {
        "inserted": result.inserted,
        "updated": result.updated,
        "deleted": result.deleted,
        "repairs": dict(result.repairs),
        "repaired_fields": {name: dict(counts) for name, counts in result.repaired_fields.items()},
        "damaged_fields": {name: dict(counts) for name, counts in result.damaged_fields.items()},
        "languages": dict(result.languages),
    }
    run.report(figures, result.accounting, () if result.accounting.rows_in else ("there are no such rejects",))


if __name__ == "__main__":
    sys.exit(main())
