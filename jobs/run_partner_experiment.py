"""Run a partner's experiment, as ``m5 finetune`` does, with a report and experiment tracking.

    python jobs/run_partner_experiment.py --partner duplicates --labels SET|PATH --strategy frozen

No Spark. The same labels, bundle, strategy and code give the same experiment, which is made once.
"""

import argparse
import sys
from collections.abc import Sequence

from jobs.command_line import new_parser, require_workspace, run_job, start_run
from m5model.commands.finetune import DESCRIPTION, EXAMPLES, add_experiment_flags, finetune
from schemas.experiment import PAGE_FILE, ExperimentManifest
from schemas.report import JsonValue


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit code: 0, 2 for bad arguments, 3 for labels with faults."""
    return run_job(_work, argv)


def _work(argv: Sequence[str] | None) -> None:
    parser = new_parser(DESCRIPTION)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = EXAMPLES.replace("m5 finetune", "python jobs/run_partner_experiment.py")
    add_experiment_flags(parser)
    arguments = parser.parse_args(argv)
    require_workspace(arguments)
    run = start_run("run_partner_experiment", arguments)
    manifest = finetune(run.workspace, arguments)
    run.run_id = f"{manifest.partner}-{manifest.id}"
    figures = _figures(manifest, run.workspace.experiment(manifest.partner, manifest.id))
    run.report(figures, warnings=manifest.notes, versions=_versions(manifest))


def _versions(manifest: ExperimentManifest) -> dict[str, str]:
    """What the experiment was made of."""
    labels = manifest.labels
    return {
        "partner": manifest.partner,
        "strategy": manifest.strategy,
        "labels": f"{labels['name']}/{labels['version']}",
        "labels_content_hash": labels["content_hash"],
        "bundle": manifest.bundle,
        "space_id": manifest.space_id,
        "code": manifest.code,
    }


def _figures(manifest: ExperimentManifest, folder: str) -> dict[str, JsonValue]:
    lift = manifest.comparisons[0]
    labels: dict[str, JsonValue] = dict(manifest.labels)
    return {
        "partner": manifest.partner,
        "strategy": manifest.strategy,
        "experiment": manifest.id,
        "page": f"{folder}/{PAGE_FILE}",
        "bundle": manifest.bundle,
        "space_id": manifest.space_id,
        "labels": labels,
        "code": manifest.code,
        "rows_read": sum(manifest.rows_by_split.values()),
        "lift": lift.difference,
        "lift_low": lift.low,
        "lift_high": lift.high,
        "verdict": lift.verdict,
        **{figure.name: figure.value for figure in manifest.figures},
    }


if __name__ == "__main__":
    sys.exit(main())
