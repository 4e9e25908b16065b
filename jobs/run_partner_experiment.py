"""Run a partner's experiment, as ``m5 finetune`` does, with a report and experiment tracking, and publish the partner's view.

    python jobs/run_partner_experiment.py --partner duplicates --labels SET|PATH --strategy frozen

The same labels, bundle, strategy and code give the same experiment, which is made once. The view is published where the
workspace has embeddings of the bundle's space; only that needs Spark.
"""

import argparse
import sys
from collections.abc import Sequence

from jobs import publish_features
from jobs.command_line import new_parser, require_workspace, run_job, start_run
from m5model.commands.finetune import DESCRIPTION, EXAMPLES, add_experiment_flags, finetune
from m5model.partners.registry import find_partner
from schemas.errors import ConfigurationError
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
    parser.add_argument("--no-publish", action="store_true", help="leave the partner's feature view as it is")
    arguments = parser.parse_args(argv)
    require_workspace(arguments)
    run = start_run("run_partner_experiment", arguments)
    manifest = finetune(run.workspace, arguments)
    run.run_id = f"{manifest.partner}-{manifest.id}"
    published, warnings = ({}, ()) if arguments.no_publish else _publish(manifest, arguments)
    figures = _figures(manifest, run.workspace.experiment(manifest.partner, manifest.id))
    run.report({**figures, **published}, warnings=(*manifest.notes, *warnings), versions=_versions(manifest))


def _publish(manifest: ExperimentManifest, arguments: argparse.Namespace) -> tuple[dict[str, JsonValue], tuple[str, ...]]:
    """Publish the view of the partner from vectors of the experiment's space; a warning where there is nothing to publish."""
    view = find_partner(manifest.partner).view
    flags = ["--view", view, *(["--space", manifest.space_id] if manifest.space_id else [])]
    shared = {"--workspace": arguments.workspace, "--tracking-uri": arguments.tracking_uri}
    flags += [part for flag, value in shared.items() if value is not None for part in (flag, value)]
    try:
        report = publish_features.publish(flags)
    except ConfigurationError as error:
        return {}, (f"the view {view} was not published: {error.message}",)
    return {"published": report.as_json()}, ()


def _versions(manifest: ExperimentManifest) -> dict[str, str]:
    """Returns what the experiment was made of."""
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
