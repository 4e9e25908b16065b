"""m5 finetune --partner P --labels SET|PATH --strategy S: a partner's experiment, with its report and its model.

jobs/run_partner_experiment.py is the same with a job's report, experiment tracking and the published view.
"""

import argparse
import sys
from typing import TYPE_CHECKING

from schemas.flags import MAX_THREADS, whole_number
from schemas.workspace import Workspace

if TYPE_CHECKING:
    from m5model.partners.experiment import Plan
    from schemas.experiment import ExperimentManifest

SUMMARY = "a partner's experiment: labels and a bundle in, figures, a model and a report out"
DESCRIPTION = """\
A partner's labelled rows are checked (all faults at once), split by entity where they bring no split, and encoded once. The
strategy learns from the split learn; threshold and calibration come from validate; every figure is of test, with its interval
over entities, beside the partner's baseline without our vectors. The report is one HTML file. The same labels, bundle, strategy
and code give the same experiment, which is made once."""
EXAMPLES = """\
examples:
  own pairs in a CSV:     m5 finetune --partner duplicates --labels pairs.csv --strategy frozen
  an imported label set:  m5 finetune --partner duplicates --labels duplicates --strategy bi-encoder
what strategies there are: m5 strategies
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description, parser.epilog = DESCRIPTION, EXAMPLES
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--workspace", help="where sets and bundles lie (default: $M5_WORKSPACE, else ./workspace)")
    add_experiment_flags(parser)


def add_experiment_flags(parser: argparse.ArgumentParser) -> None:
    """The flags that the command and the job share."""
    parser.add_argument("--partner", required=True, metavar="NAME", help="a file of schemas/partners, e.g. duplicates")
    parser.add_argument(
        "--labels", required=True, metavar="SET|PATH", help="a label set of the workspace, or a CSV, Parquet or JSON Lines file"
    )
    parser.add_argument("--strategy", default="frozen", metavar="NAME", help="see m5 strategies (default: %(default)s)")
    parser.add_argument("--bundle", metavar="ID-OR-PATH", help="whose vectors are used; the newest student otherwise")
    parser.add_argument(
        "--engine",
        choices=("int8", "fp32", "torch"),
        default="int8",
        help="int8: what executors run; torch: the checkpoint itself, for teachers (default: %(default)s)",
    )
    parser.add_argument("--vectors", metavar="FILE", help="Parquet with text, space_id and vector, instead of encoding texts")
    parser.add_argument(
        "--allow-seen", action="store_true", help="report test rows whose entities are learned from, instead of refusing them"
    )
    parser.add_argument("--note", action="append", default=[], help="a line for readers of the report, also several times")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a setting of the strategy")
    parser.add_argument("--seed", type=whole_number(0), default=0, help="of splits and models (default: %(default)s)")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="auto: a GPU where there is one")
    parser.add_argument("--threads", type=whole_number(0, MAX_THREADS), default=0, help="CPU threads; 0: as many as cores")


def run(arguments: argparse.Namespace) -> None:
    workspace = Workspace.resolve(arguments.workspace)
    manifest = finetune(workspace, arguments)
    sys.stdout.write(as_text(manifest) + f"\n{workspace.experiment(manifest.partner, manifest.id)}/report.html\n")


def as_text(manifest: "ExperimentManifest") -> str:
    """Figures and comparisons, a line each."""
    lines = [f"{manifest.partner} {manifest.id}", *(f"  {figure}" for figure in manifest.figures)]
    lines += [
        f"  {one.ours} beside {one.theirs}: {one.metric} {one.difference:+.4f} [{one.low:+.4f}, {one.high:+.4f}], {one.verdict}"
        for one in manifest.comparisons
        if one.difference is not None and one.low is not None and one.high is not None
    ]
    return "\n".join(lines)


def finetune(workspace: Workspace, arguments: argparse.Namespace) -> "ExperimentManifest":
    """Run the experiment that the parsed flags ask for, or find it done."""
    from m5model.files import storage
    from m5model.partners.experiment import run_experiment
    from m5model.partners.records import find_finished, write_experiment
    from m5model.reports.experiment.page import render_experiment
    from m5model.training.progress import say

    plan = plan_experiment(workspace, arguments)
    finished = find_finished(workspace, plan.data.partner.name, plan.id)
    if finished is not None:
        say(f"experiment {finished.id} was made {finished.created_at}")
        return finished
    outcome = run_experiment(plan)
    manifest = write_experiment(workspace, outcome, render_experiment(outcome))
    if plan.scratch is not None:
        storage.delete_folder(str(plan.scratch / plan.id))
    return manifest


def plan_experiment(workspace: Workspace, arguments: argparse.Namespace) -> "Plan":
    """Open what the flags name. Names are checked before data, data before a bundle is opened."""
    from m5model.partners.request import ExperimentRequest, open_plan

    request = ExperimentRequest(
        partner=arguments.partner,
        labels=arguments.labels,
        strategy=arguments.strategy,
        bundle=arguments.bundle,
        engine=arguments.engine,
        vectors=arguments.vectors,
        allow_seen=arguments.allow_seen,
        notes=tuple(arguments.note),
        settings=tuple(arguments.set),
        seed=arguments.seed,
        device=arguments.device,
        threads=arguments.threads,
    )
    return open_plan(workspace, request)
