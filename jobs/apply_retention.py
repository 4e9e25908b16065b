"""Show what the retention policies would drop; with ``--apply``, drop it.

    spark-submit jobs/apply_retention.py [--apply] [--policy FILE] [--drop WHAT...] [--workspace ROOT]

Policies are declared in schemas/retention.py. What a live bundle or feature view refers to is kept, and the chain of references
is named; ``--drop`` of such a thing is refused with exit code 4. Run no other job on the workspace meanwhile.
"""

import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from jobs.command_line import new_parser, require_workspace, run_job, start_run
from schemas.errors import ConfigurationError
from schemas.retention import RETENTION, RetentionPolicy, with_days


def main(argv: Sequence[str] | None = None) -> int:
    return run_job(_work, argv)


def _work(argv: Sequence[str] | None) -> None:
    parser = new_parser("Show what the retention policies would drop; with --apply, drop it.")
    parser.add_argument("--apply", action="store_true", help="drop it; without this flag nothing is changed")
    parser.add_argument("--policy", metavar="FILE", help='JSON file with other days, e.g. {"listings.history": 14}')
    parser.add_argument(
        "--drop",
        nargs="+",
        default=[],
        metavar="WHAT",
        help="only these, whatever their age: training_sets/NAME/VERSION, label_sets/NAME/VERSION, bundles/ID or spaces/ID",
    )
    arguments = parser.parse_args(argv)
    policies = _read_policies(arguments.policy)
    require_workspace(arguments)

    from spark.retention.apply import apply_drops
    from spark.retention.plan import plan_drops, plan_retention
    from spark.retention.references import find_references
    from spark.setup.session import job_session

    run = start_run("apply_retention", arguments)
    with job_session("m5 apply_retention", paths=[run.workspace.root]) as spark:
        references = find_references(run.workspace, max(policy.keep_versions for policy in policies))
        if arguments.drop:
            drops = plan_drops(spark, run.workspace, arguments.drop, references)
        else:
            drops = plan_retention(spark, run.workspace, policies, references, datetime.now(UTC))
        if arguments.apply:
            apply_drops(spark, run.workspace, drops)
    verb = "dropped" if arguments.apply else "would_drop"
    run.report(
        {
            "applied": arguments.apply,
            verb: [drop.as_json() for drop in drops if not drop.kept_by],
            "kept": [drop.as_json() for drop in drops if drop.kept_by],
            "policies": {policy.name: policy.keep_days for policy in policies},
            "versions": {policy.name: policy.keep_versions for policy in policies if policy.keep_versions},
        }
    )


def _read_policies(path: str | None) -> tuple[RetentionPolicy, ...]:
    if path is None:
        return RETENTION
    try:
        text = Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(
            f"cannot read --policy {path}: {error}", next_step="give a JSON file of days by policy"
        ) from error
    return with_days(text, path)


if __name__ == "__main__":
    sys.exit(main())
