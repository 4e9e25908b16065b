"""The catalogue on one page: rows, rejects, repairs, lengths, duplicates, balance. One HTML file, and the same as JSON.

spark-submit jobs/report_catalog.py [--training-set NAME[/VERSION]] [--workspace ROOT]
"""

import sys
from collections.abc import Sequence

from jobs.command_line import new_parser, require_workspace, run_job, start_run


def main(argv: Sequence[str] | None = None) -> int:
    return run_job(_work, argv)


def _work(argv: Sequence[str] | None) -> None:
    parser = new_parser("The catalogue on one page: rows, rejects, repairs, lengths, duplicates, balance.")
    parser.add_argument(
        "--training-set", metavar="NAME[/VERSION]", help="whose balance is shown; the newest there is otherwise"
    )
    arguments = parser.parse_args(argv)
    require_workspace(arguments)

    from m5model.data.set_versions import find_training_set
    from m5model.files import storage
    from m5model.reports.catalogue.page import render_page
    from spark.reports.catalogue_facts import gather_facts
    from spark.setup.session import job_session

    run = start_run("report_catalog", arguments)
    with job_session("m5 report_catalog", paths=[run.workspace.root]) as spark:
        named = find_training_set(run.workspace, arguments.training_set) if arguments.training_set else None
        facts = gather_facts(spark, run.workspace, named)
    page = run.workspace.page(run.run_id)
    storage.write_bytes(page, render_page(facts).encode())
    run.report({"page": page, "catalogue": facts.as_json()})


if __name__ == "__main__":
    sys.exit(main())
