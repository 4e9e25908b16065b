"""Train a teacher: a training set becomes a vocabulary, an encoder (masked language modelling) and a teacher bundle.

    python jobs/train_model.py --workspace workspace --training-set catalogue --preset tiny --steps 300

No Spark. Killed and started again with the same flags, it goes on from its last checkpoint.
"""

import argparse
import sys
import time
from collections.abc import Sequence

from m5model import storage
from m5model.presets import PRESETS, TEACHER_500M, get_preset
from m5model.tracking import log_run
from schemas.bundle import BundleManifest
from schemas.errors import M5Error
from schemas.report import JobReport
from schemas.workspace import Workspace

JOB = "train_model"


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit code: 0, 2 for bad arguments, 3 for a damaged training set, 4 where nothing was learned."""
    arguments = _parser().parse_args(argv)
    try:
        report = _run(arguments)
    except M5Error as error:
        print(f"{JOB}: {error}", file=sys.stderr)
        return int(error.exit_code)
    print(report.to_line())
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=JOB, description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workspace", help="root, a path or s3a:// URI (default: $M5_WORKSPACE, else ./workspace)")
    parser.add_argument("--training-set", metavar="NAME[/VERSION]", help="what to learn from (default: the newest there is)")
    parser.add_argument("--preset", choices=list(PRESETS), default=TEACHER_500M.name, help="size (default: %(default)s)")
    parser.add_argument("--steps", type=int, help="optimiser steps (default: the preset's)")
    parser.add_argument("--seed", type=int, default=0, help="of weights, order, masks and dropout (default: %(default)s)")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="auto: a GPU where there is one")
    parser.add_argument("--checkpoint-every", type=int, default=200, metavar="STEPS", help="(default: %(default)s)")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads; 0: as many as cores; 1 suits a shared machine")
    parser.add_argument("--tracking-uri", help="MLflow database or server to log to, e.g. sqlite:///mlflow.db (default: none)")
    return parser


def _run(arguments: argparse.Namespace) -> JobReport:
    from m5model.training.config import TrainingConfig
    from m5model.training.teacher import train_teacher
    from m5model.training_sets import find_training_set, open_training_set

    started = time.monotonic()
    workspace = Workspace.resolve(arguments.workspace)
    preset = get_preset(arguments.preset)
    config = TrainingConfig.for_preset(
        preset,
        steps=arguments.steps,
        seed=arguments.seed,
        checkpoint_every=arguments.checkpoint_every,
        device=arguments.device,
        threads=arguments.threads,
    )
    training_set = open_training_set(find_training_set(workspace, arguments.training_set))
    manifest = train_teacher(workspace, training_set, preset, config)
    report = _report(arguments, workspace, manifest, training_set.manifest.rows, time.monotonic() - started)
    storage.write_bytes(workspace.report(report.run_id), report.to_line().encode())
    return report


def _report(
    arguments: argparse.Namespace, workspace: Workspace, manifest: BundleManifest, rows: int, seconds: float
) -> JobReport:
    warnings: tuple[str, ...] = ()
    figures = {name: value for name, value in manifest.gate.items() if isinstance(value, int | float)}
    if arguments.tracking_uri:
        params = {"preset": manifest.preset, "seed": arguments.seed, "bundle": manifest.id, **(manifest.training_set or {})}
        warnings = log_run(arguments.tracking_uri, JOB, manifest.id, params, {**figures, "seconds": seconds})
    return JobReport(
        job=JOB,
        run_id=f"train-{manifest.id}",
        workspace=workspace.root,
        seconds=seconds,
        figures={
            "bundle": manifest.id,
            "parameters": manifest.parameters,
            "rows_read": rows,
            "bundles_made": 1,
            **manifest.gate,
        },
        warnings=warnings,
    )


if __name__ == "__main__":
    sys.exit(main())
