"""Distil a student from teachers, as ``m5 distill`` does, with a report and experiment tracking.

    python jobs/distill_student.py --workspace workspace --preset tiny --steps 300

No Spark. Killed and started again with the same flags, it goes on where it was.
"""

import argparse
import sys
from collections.abc import Sequence

from jobs.command_line import new_parser, require_workspace, run_job, start_run
from m5model.commands.distill import DESCRIPTION, EXAMPLES, add_distillation_flags, distill


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit code: 0, 2 for bad arguments, 3 for a damaged training set, 4 where a gate refused the student."""
    return run_job(_work, argv)


def _work(argv: Sequence[str] | None) -> None:
    parser = new_parser(DESCRIPTION)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = EXAMPLES.replace("m5 distill", "python jobs/distill_student.py")
    add_distillation_flags(parser)
    arguments = parser.parse_args(argv)
    require_workspace(arguments)
    run = start_run("distill_student", arguments)
    from m5model.data.set_versions import find_training_set, read_manifest

    manifest = distill(run.workspace, arguments)
    training_set = read_manifest(find_training_set(run.workspace, arguments.training_set))
    run.run_id = f"distill-{manifest.id}"
    run.report(
        {
            "bundle": manifest.id,
            "teacher": manifest.parent,
            "parameters": manifest.parameters,
            "rows_read": training_set.rows,
            "bundles_made": 1,
            **{figure.name: figure.value for figure in manifest.gate},
        }
    )


if __name__ == "__main__":
    sys.exit(main())
