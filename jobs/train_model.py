"""Train a teacher: a training set becomes a vocabulary, an encoder (masked language modelling) and a teacher bundle.

    python jobs/train_model.py --workspace workspace --training-set catalogue --preset tiny --steps 300
    python jobs/train_model.py --workspace workspace --training-set catalogue --init starter --vocabulary-size 32000
    python jobs/train_model.py --workspace workspace --training-set catalogue --init starter --pairs LABEL-SET --steps 300
    python jobs/train_model.py --workspace workspace --training-set catalogue --init starter --form streams --steps 300

The second begins with weights that exist and trains nothing; the third goes on from there with labelled pairs (with
--queries: of queries and what answers them); the fourth makes them an encoder that reads text and structured data apart.
More recipes:

    … --recipe multitask --labels product_type=types duplicates=pairs --finetune duplicates
    … --recipe mine.json --dry-run

The first goes on with a mixture of tasks on label sets (jobs/import_labels.py) and ends with one of them; the second reads a
recipe (m5model/training/recipe_files.py) and says what its stages would take.

No Spark. Killed and started again with the same flags, it goes on from its last checkpoint. Several processes, started again
where one dies:

    torchrun --nproc-per-node 8 --max-restarts 3 jobs/train_model.py … --parallel fsdp
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from jobs.command_line import add_init_flags, add_training_flags, log, new_parser, require_workspace, run_job, start_run
from jobs.flags import JobParser, number, whole_number
from m5model.encoders.presets import TEACHER_500M, EncoderPreset, get_preset, rendering_of
from m5model.files import storage
from schemas.checks import require
from schemas.errors import ConfigurationError

if TYPE_CHECKING:
    from m5model.training.recipes import Recipe
    from m5model.training.rehearsal import StageEstimate
    from m5model.training.starting import Source
    from schemas.report import JsonValue


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit code: 0, 2 for bad arguments, 3 for a damaged training set, 4 where nothing was learned."""
    return run_job(_work, argv)


def _work(argv: Sequence[str] | None) -> None:
    parser = new_parser("Train a teacher: a training set becomes a vocabulary, an encoder and a teacher bundle.")
    add_training_flags(parser, TEACHER_500M.name)
    add_init_flags(parser)
    _add_recipe_flags(parser)
    arguments = parser.parse_args(argv)
    require_workspace(arguments)

    from m5model.bundles.sources import open_source
    from m5model.data.set_versions import find_training_set
    from m5model.data.training_sets import open_training_set
    from m5model.export.teacher import rehearse_teacher, train_teacher
    from m5model.runtime.rendering import DEFAULT_RENDERING
    from m5model.training.config import Machine
    from m5model.training.processes import join_processes

    run = start_run("train_model", arguments)
    processes = join_processes()
    machine = Machine(
        device=arguments.device,
        threads=arguments.threads,
        checkpoint_every=arguments.checkpoint_every,
        without_guards=tuple(arguments.without_guard),
        parallel=arguments.parallel,
        offload=arguments.offload,
        save_memory=arguments.save_memory,
        compile=arguments.compile,
    )
    source = open_source(run.workspace, arguments.init) if arguments.init else None
    recipe = _recipe(arguments, source)
    log.info("recipe: %s", recipe.canonical())
    rendering = rendering_of(recipe.preset, source.rendering if source else DEFAULT_RENDERING)
    with processes.first_goes_first():
        training_set = open_training_set(find_training_set(run.workspace, arguments.training_set), rendering)
    if arguments.dry_run:
        estimates = rehearse_teacher(run.workspace, training_set, recipe, machine, source)
        run.report({"recipe": recipe.name, "bundles_made": 0, "stages": [_as_json(estimate) for estimate in estimates]})
        return
    manifest = train_teacher(run.workspace, training_set, recipe, machine, source)
    if not processes.is_first:
        return
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


def _add_recipe_flags(parser: JobParser) -> None:
    parser.add_argument("--recipe", default="teacher", metavar="NAME|FILE", help="teacher, multitask, or a JSON file")
    parser.add_argument(
        "--labels",
        nargs="+",
        default=[],
        metavar="TASK=SET",
        help="tasks of multitask, and their label sets",
    )
    parser.add_argument("--finetune", metavar="TASK", help="the task that multitask ends with")
    parser.add_argument("--task-steps", type=whole_number(0), help="steps of multitask's mixture; the size's own otherwise")
    parser.add_argument("--temperature", type=number(0), default=2.0, help="of the mixture: 1 by rows, higher less so, 0 alike")
    parser.add_argument("--scaling", choices=("fixed", "log_labels"), default="fixed", help="of the mixture's losses")
    parser.add_argument("--dry-run", action="store_true", help="say what the stages would take, timed by a few steps of each")
    parser.add_argument(
        "--parallel",
        choices=("ddp", "fsdp"),
        default="ddp",
        help="of several processes (torchrun): each holds the model whole, or a part of every weight",
    )
    parser.add_argument("--offload", action="store_true", help="keep weights and optimiser in the CPU's memory, for fsdp")
    parser.add_argument("--save-memory", action="store_true", help="compute activations anew in the backward pass")
    parser.add_argument("--compile", action="store_true", help="compile the encoder's blocks (torch.compile)")
    parser.add_argument("--without-guard", nargs="+", default=[], metavar="NAME", help="checks before training to leave out")


def _as_json(estimate: "StageEstimate") -> "JsonValue":
    values: JsonValue = json.loads(json.dumps(asdict(estimate)))
    return values


def _recipe(arguments: argparse.Namespace, source: "Source | None") -> "Recipe":
    """The recipe that the flags name."""
    from m5model.training.recipe_files import read_recipe
    from m5model.training.recipes import multitask
    from m5model.training.shares import Mixing

    if arguments.recipe == "teacher":
        return _teacher(arguments, source)
    if arguments.recipe == "multitask":
        pairs = [text.partition("=") for text in arguments.labels]
        bad = {f"--labels {''.join(pair)!r} is no TASK=SET": all(pair) for pair in pairs}
        require("arguments", bad | {"multitask needs --labels": bool(pairs)})
        return multitask(
            _teacher(arguments, source),
            {task: labels for task, _, labels in pairs},
            finetune=arguments.finetune,
            steps=arguments.task_steps,
            mixing=Mixing(temperature=arguments.temperature, scaling=arguments.scaling),
            seed=arguments.seed,
        )
    if not storage.exists(arguments.recipe):
        raise ConfigurationError(f"there is no recipe {arguments.recipe}", next_step="give teacher, multitask, or a JSON file")
    text = storage.read_bytes(arguments.recipe).decode("utf-8", errors="replace")
    if source is None:
        return read_recipe(text, arguments.recipe)
    return read_recipe(text, arguments.recipe, preset=_geometry(arguments, source), origin=source.origin)


def _geometry(arguments: argparse.Namespace, source: "Source") -> EncoderPreset:
    """The size of the encoder that the weights become."""
    from m5model.encoders.cross_start import cross_geometry
    from m5model.encoders.huggingface import read_geometry
    from m5model.encoders.kinds import read_teacher_geometry

    form = arguments.form or "distilbert"
    is_cut = bool(arguments.layers) or arguments.vocabulary_size is not None
    require(
        "arguments",
        {
            "--form whole keeps all layers and its vocabulary": form != "whole" or not is_cut,
            "--structure-layers needs --form streams": arguments.structure_layers is None or form == "streams",
            "--pooling needs --form whole": arguments.pooling is None or form == "whole",
        },
    )
    if form == "whole":
        return read_teacher_geometry(source.folder, arguments.pooling or "")
    geometry = read_geometry(source.folder, arguments.layers, arguments.vocabulary_size)
    return cross_geometry(geometry, arguments.structure_layers or 2) if form == "streams" else geometry


def _teacher(arguments: argparse.Namespace, source: "Source | None") -> "Recipe":
    from m5model.training.recipes import from_weights, teacher

    if source is None:
        return teacher(get_preset(arguments.preset or TEACHER_500M.name), steps=arguments.steps, seed=arguments.seed)
    return from_weights(
        _geometry(arguments, source),
        source.origin,
        layers=arguments.layers,
        form=arguments.form or "distilbert",
        vocabulary_size=arguments.vocabulary_size,
        pairs=arguments.pairs or "",
        queries=arguments.queries or "",
        steps=arguments.steps or 0,
        seed=arguments.seed,
    )


if __name__ == "__main__":
    sys.exit(main())
