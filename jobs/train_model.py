"""Train a teacher: a training set becomes a vocabulary, an encoder (masked language modelling) and a teacher bundle.

    python jobs/train_model.py --workspace workspace --training-set catalogue --preset tiny --steps 300

No Spark. Killed and started again with the same flags, it goes on from its last checkpoint.
"""

import sys
from collections.abc import Sequence

from jobs.command_line import add_training_flags, log, new_parser, require_workspace, run_job, start_run
from m5model.encoders.presets import TEACHER_500M, get_preset


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit code: 0, 2 for bad arguments, 3 for a damaged training set, 4 where nothing was learned."""
    return run_job(_work, argv)


def _work(argv: Sequence[str] | None) -> None:
    parser = new_parser("Train a teacher: a training set becomes a vocabulary, an encoder and a teacher bundle.")
    add_training_flags(parser, TEACHER_500M.name)
    arguments = parser.parse_args(argv)
    require_workspace(arguments)

    from m5model.data.set_versions import find_training_set
    from m5model.data.training_sets import open_training_set
    from m5model.export.teacher import train_teacher
    from m5model.training.config import Machine
    from m5model.training.recipes import teacher

    run = start_run("train_model", arguments)
    machine = Machine(device=arguments.device, threads=arguments.threads, checkpoint_every=arguments.checkpoint_every)
    recipe = teacher(get_preset(arguments.preset), steps=arguments.steps, seed=arguments.seed)
    log.info("recipe: %s", recipe.canonical())
    training_set = open_training_set(find_training_set(run.workspace, arguments.training_set))
    manifest = train_teacher(run.workspace, training_set, recipe, machine)
    run.run_id = f"train-{manifest.id}"
    run.report(
        {
            "bundle": manifest.id,
            "parameters": manifest.parameters,
            "rows_read": training_set.manifest.rows,
            "bundles_made": 1,
            **{figure.name: figure.value for figure in manifest.gate},
        }
    )


if __name__ == "__main__":
    sys.exit(main())
