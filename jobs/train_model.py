"""Train a teacher: a training set becomes a vocabulary, an encoder (masked language modelling) and a teacher bundle.

    python jobs/train_model.py --workspace workspace --training-set catalogue --preset tiny --steps 300
    python jobs/train_model.py --workspace workspace --training-set catalogue --init starter --vocabulary-size 32000

The second begins with weights that exist; without --steps it trains nothing.

No Spark. Killed and started again with the same flags, it goes on from its last checkpoint.
"""

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from jobs.command_line import add_init_flags, add_training_flags, log, new_parser, require_workspace, run_job, start_run
from m5model.encoders.presets import TEACHER_500M, get_preset

if TYPE_CHECKING:
    from m5model.training.recipes import Recipe
    from m5model.training.starting import Source


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit code: 0, 2 for bad arguments, 3 for a damaged training set, 4 where nothing was learned."""
    return run_job(_work, argv)


def _work(argv: Sequence[str] | None) -> None:
    parser = new_parser("Train a teacher: a training set becomes a vocabulary, an encoder and a teacher bundle.")
    add_training_flags(parser, TEACHER_500M.name)
    add_init_flags(parser)
    arguments = parser.parse_args(argv)
    require_workspace(arguments)

    from m5model.bundles.sources import open_source
    from m5model.data.set_versions import find_training_set
    from m5model.data.training_sets import open_training_set
    from m5model.export.teacher import train_teacher
    from m5model.runtime.rendering import DEFAULT_RENDERING
    from m5model.training.config import Machine

    run = start_run("train_model", arguments)
    machine = Machine(device=arguments.device, threads=arguments.threads, checkpoint_every=arguments.checkpoint_every)
    source = open_source(run.workspace, arguments.init) if arguments.init else None
    recipe = _recipe(arguments, source)
    log.info("recipe: %s", recipe.canonical())
    rendering = source.rendering if source else DEFAULT_RENDERING
    training_set = open_training_set(find_training_set(run.workspace, arguments.training_set), rendering)
    manifest = train_teacher(run.workspace, training_set, recipe, machine, source)
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


def _recipe(arguments: argparse.Namespace, source: "Source | None") -> "Recipe":
    from m5model.encoders.huggingface import read_geometry
    from m5model.training.recipes import from_weights, teacher

    if source is None:
        return teacher(get_preset(arguments.preset or TEACHER_500M.name), steps=arguments.steps, seed=arguments.seed)
    return from_weights(
        read_geometry(source.folder, arguments.layers, arguments.vocabulary_size),
        source.origin,
        layers=arguments.layers,
        vocabulary_size=arguments.vocabulary_size,
        steps=arguments.steps or 0,
        seed=arguments.seed,
    )


if __name__ == "__main__":
    sys.exit(main())
