"""Distil a student: a teacher's judgements on pairs, then ONNX and int8 graphs, released only where they give the same vectors.

    python jobs/distill_student.py --workspace workspace --preset tiny --steps 300

No Spark. Killed and started again with the same flags, it goes on from its last checkpoint.
"""

import sys
from collections.abc import Sequence
from dataclasses import replace

from jobs.command_line import add_training_flags, log, new_parser, require_workspace, run_job, start_run
from jobs.flags import number
from m5model.bundles.find import find_bundle, read_manifest
from m5model.bundles.geometry import preset_of
from m5model.encoders.presets import STUDENT_70M, get_preset


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit code: 0, 2 for bad arguments, 3 for a damaged training set, 4 where a gate refused the student."""
    return run_job(_work, argv)


def _work(argv: Sequence[str] | None) -> None:
    parser = new_parser("Distil a student: a teacher's judgements on pairs, then ONNX and int8 graphs that passed the gate.")
    add_training_flags(parser, STUDENT_70M.name)
    parser.add_argument("--teacher", metavar="ID-OR-PATH", help="teacher bundle; the newest of the workspace otherwise")
    parser.add_argument(
        "--start-from",
        metavar="ID-OR-PATH",
        help='"teacher" for the teacher itself; or a bundle of that size to begin with, instead of own MLM',
    )
    parser.add_argument(
        "--quantization",
        choices=("static", "dynamic"),
        default="static",
        help="int8 activations: scales calibrated once, so that a vector depends on its text alone; or taken per batch "
        "(then without the engine's own graph)",
    )
    parser.add_argument(
        "--min-correlation",
        type=number(-1, 1),
        default=0.8,
        help="refuse a student whose similarities of held-out texts correlate less with the teacher's",
    )
    arguments = parser.parse_args(argv)
    require_workspace(arguments)

    from m5model.data.set_versions import find_training_set
    from m5model.data.training_sets import open_training_set
    from m5model.distillation.recipe import StudentGate, student
    from m5model.distillation.student import distill_student
    from m5model.runtime.rendering import Rendering
    from m5model.training.config import Machine

    run = start_run("distill_student", arguments)
    machine = Machine(device=arguments.device, threads=arguments.threads, checkpoint_every=arguments.checkpoint_every)
    gate = StudentGate(min_correlation=arguments.min_correlation)
    teacher = find_bundle(run.workspace, arguments.teacher, "teacher")
    start_from = teacher if arguments.start_from == "teacher" else None
    if arguments.start_from and start_from is None:
        start_from = find_bundle(run.workspace, arguments.start_from, "student")
    begun = read_manifest(start_from) if start_from else None
    default = preset_of(begun) if begun else STUDENT_70M
    recipe = student(
        get_preset(arguments.preset) if arguments.preset else default,
        read_manifest(teacher),
        start_from=begun,
        steps=arguments.steps,
        seed=arguments.seed,
        quantization=arguments.quantization,
    )
    log.info("recipe: %s", recipe.canonical())
    rendering = replace(Rendering.from_json(read_manifest(teacher).rendering), marked=False)  # students have one stream
    training_set = open_training_set(find_training_set(run.workspace, arguments.training_set), rendering)
    manifest = distill_student(run.workspace, training_set, teacher, recipe, gate=gate, machine=machine, start_from=start_from)
    run.run_id = f"distill-{manifest.id}"
    run.report(
        {
            "bundle": manifest.id,
            "teacher": manifest.parent,
            "parameters": manifest.parameters,
            "rows_read": training_set.manifest.rows,
            "bundles_made": 1,
            **{figure.name: figure.value for figure in manifest.gate},
        }
    )


if __name__ == "__main__":
    sys.exit(main())
