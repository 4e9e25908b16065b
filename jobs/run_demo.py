"""Runs the whole flow on a sample catalogue of 15 locales: feeds go in, partner feature tables come out.

    make demo            (or, in the activated environment: python jobs/run_demo.py)

Every stage is the job that a schedule would run, started by the command that is printed.
"""

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from jobs.command_line import new_parser, run_job
from jobs.demo_judgement import DEMO_PAIRS, DEMO_QUERIES
from jobs.demo_summary import print_summary
from jobs.flags import whole_number
from m5model.encoders.starter import STARTER, has_starter
from m5model.files import storage
from schemas.errors import BadDataError, ConfigurationError, GateRefusedError, M5Error
from schemas.workspace import Workspace

VOCABULARY = 16_000  # tokens: all pieces that the sample's texts use, and the commonest others

CONTRAST_STEPS = 32  # two minutes, and most of what the sample's labels teach

# Customers ask for different items in the same words. Where one judgement says exact and another one partial, both are
# left out.
CONTRADICTORY = ("--max-reject-share", "0.05")

ROOT = Path(__file__).resolve().parent.parent


def main(argv: Sequence[str] | None = None) -> int:
    return run_job(_work, argv)


def _work(argv: Sequence[str] | None) -> None:
    parser = new_parser("The whole flow on a sample catalogue of 15 locales.")
    parser.add_argument(
        "--rows",
        type=whole_number(1, 10_000_000),
        default=12_000,
        help="listings of the sample catalogue, damaged records aside",
    )
    parser.add_argument(
        "--steps", type=whole_number(0), default=120, help="optimiser steps of teacher and student, without the starter"
    )
    arguments = parser.parse_args(argv)
    workspace = Workspace.resolve(arguments.workspace)
    started = time.monotonic()
    reports: dict[str, str] = {}
    stages = demo_stages(workspace, arguments.rows, arguments.steps, with_starter=has_starter())
    for number, (name, command) in enumerate(stages.items(), start=1):
        print(f"\n[{number}/{len(stages)}] {' '.join(command)}", flush=True)
        began = time.monotonic()
        reports[name] = run_stage(name, command, workspace)
        print(f"      done in {time.monotonic() - began:.0f} s", flush=True)
    print_summary(workspace, reports, run_seconds=time.monotonic() - started, setup_seconds=_setup_seconds())


def demo_stages(workspace: Workspace, rows: int, steps: int, *, with_starter: bool) -> dict[str, list[str]]:
    """Name → the command as a user would type it, in the order of the flow.

    With the starter the teacher is the starter with the pieces that the sample uses, taught by labels which offers are of one
    product and which listings answer a query; the student is the teacher in int8. Without the starter a tiny one is trained
    from nothing.
    """
    sample = f"{workspace.root}/sample_catalogue"
    tiny = ["--preset", "tiny", "--steps", str(steps)]
    starter = ["--init", STARTER, "--vocabulary-size", str(VOCABULARY)]
    labels = ["--pairs", DEMO_PAIRS, "--queries", DEMO_QUERIES]
    begin = [*starter, *labels, "--steps", str(CONTRAST_STEPS)] if with_starter else tiny
    export = ["--start-from", "teacher", "--steps", "0"] if with_starter else tiny
    return {
        "catalogue": ["python", "jobs/make_sample_catalog.py", "--out", sample, "--rows", str(rows)],
        "ingest": ["spark-submit", "jobs/ingest_catalog.py", "--feed", f"{sample}/feeds"],
        "sample": ["spark-submit", "jobs/sample_training_set.py", "--name", "demo", "--plan", "cap-floor"],
        "pairs": ["spark-submit", "jobs/import_labels.py", "--name", DEMO_PAIRS, *_pairs_of(sample)],
        "queries": ["spark-submit", "jobs/import_labels.py", "--name", DEMO_QUERIES, *_queries_of(sample)],
        "train": ["python", "jobs/train_model.py", "--training-set", "demo", *begin],
        "distill": ["python", "jobs/distill_student.py", "--training-set", "demo", *export],
        "embed": ["spark-submit", "jobs/embed_catalog.py"],
        "publish": ["spark-submit", "jobs/publish_features.py"],
    }


def _pairs_of(sample: str) -> list[str]:
    """The sample's own duplicates as labelled pairs, split by families of products: the summary judges by the test split."""
    columns = ("left_locale=locale", "left_item_id=item_id", "right_locale=locale", "right_item_id=other_item_id")
    feed = ["--kind", "pairs", "--feed", f"{sample}/labels/duplicates.parquet"]
    return [*feed, "--map", *columns, "is_match=label", "--keep-splits"]


def _queries_of(sample: str) -> list[str]:
    """The sample's own queries and the listings that answer them, split as the pairs are."""
    return ["--kind", "relevance", "--feed", f"{sample}/labels/relevance.parquet", "--keep-splits", *CONTRADICTORY]


def run_stage(name: str, command: list[str], workspace: Workspace) -> str:
    """Run one stage from the checkout's root; its log goes to a file. Returns the last line of its stdout, the report."""
    log = Path(f"{workspace.root}/logs/demo-{name}.log")
    log.parent.mkdir(parents=True, exist_ok=True)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "M5_WORKSPACE": workspace.root}
    with log.open("w") as stream:
        answer = subprocess.run(
            command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=stream, text=True, check=False
        )
    if answer.returncode:
        kinds = (ConfigurationError, BadDataError, GateRefusedError)
        raise next((kind for kind in kinds if kind.exit_code == answer.returncode), M5Error)(
            f"stage {name} ended with exit code {answer.returncode}:\n{log.read_text()[-2_000:]}",
            next_step=f"the whole log is {log}; every stage can be run again, finished ones change nothing",
        )
    return answer.stdout.strip().splitlines()[-1]


def _setup_seconds() -> int | None:
    """Seconds that `make setup` took when it last had to install; None in an environment that it did not make."""
    path = f"{Path(sys.executable).parent.parent}/.setup-seconds"
    return int(storage.read_bytes(path)) if storage.exists(path) else None


if __name__ == "__main__":
    sys.exit(main())
