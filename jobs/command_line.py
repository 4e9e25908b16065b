"""Holds what every job shares: the flags, the log, the exit code, and the report on the last line of stdout."""

import argparse
import json
import logging
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from jobs.flags import JobParser, number, whole_number, whole_numbers
from m5model.files import storage
from m5model.files.streams import discard_stdout
from m5model.releases.tracking import tracking_uri_of
from schemas.checks import require_name
from schemas.errors import ConfigurationError, M5Error, StorageFullError
from schemas.flags import MAX_THREADS
from schemas.report import DEFAULT_MAX_REJECT_SHARE, Accounting, JobReport, JsonValue, new_start, report_name
from schemas.workspace import Workspace
from spark.setup.charset import check_arguments
from spark.setup.failures import explain

log = logging.getLogger("m5")

MAX_LAYERS = 1_000
INTERRUPTED = 130  # what a shell reports for a command that Ctrl-C ended


def new_parser(description: str) -> JobParser:
    """A parser with the flags that all jobs have; every flag's help shows its default."""
    parser = JobParser(description)
    parser.add_argument(
        "--workspace", metavar="ROOT", help="folder or s3a:// URI that holds everything; else $M5_WORKSPACE, else ./workspace"
    )
    parser.add_argument(
        "--tracking-uri",
        metavar="URI",
        help="MLflow tracking database, e.g. postgresql://…; 'none' for no tracking; else $MLFLOW_TRACKING_URI, else SQLite "
        "in a local workspace",
    )
    return parser


def add_reject_share(parser: argparse.ArgumentParser, of_what: str) -> None:
    """The flag of the jobs that may refuse their input."""
    parser.add_argument(
        "--max-reject-share",
        type=number(0, 1),
        default=DEFAULT_MAX_REJECT_SHARE,
        metavar="SHARE",
        help=f"end with exit code 3 where more {of_what} (0 to 1)",
    )


def add_training_flags(parser: argparse.ArgumentParser, default_preset: str) -> None:
    """The flags of the jobs that train."""
    from m5model.encoders.presets import PRESETS

    parser.add_argument("--training-set", metavar="NAME[/VERSION]", help="what to learn from; the newest there is otherwise")
    parser.add_argument("--preset", choices=list(PRESETS), help=f"size of a new encoder; {default_preset} otherwise")
    parser.add_argument("--steps", type=whole_number(), help="optimiser steps; the preset's own number otherwise")
    parser.add_argument("--seed", type=whole_number(0), default=0, help="of weights, order, masks and dropout")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="auto: a GPU where there is one")
    parser.add_argument(
        "--checkpoint-every", type=whole_number(), default=200, metavar="STEPS", help="steps between checkpoints"
    )
    parser.add_argument(
        "--threads",
        type=whole_number(0, MAX_THREADS),
        default=0,
        help="CPU threads; 0: as many as cores; 1 suits a shared machine",
    )


def add_init_flags(parser: JobParser) -> None:
    """The flags of a job that can begin with weights that exist."""
    parser.add_argument(
        "--init",
        metavar="CHECKPOINT",
        help='weights to begin with: "starter" (the extra m5[starter]), a bundle, a checkpoint folder, or a name of the hub',
    )
    parser.add_argument(
        "--layers",
        type=whole_numbers(0, MAX_LAYERS),
        default=(),
        metavar="0,2,4",
        help="layers of --init to take; all otherwise",
    )
    parser.add_argument(
        "--form",
        choices=("distilbert", "streams", "whole"),
        help="what --init becomes: an encoder in the layout of students (otherwise); one that reads text and structured data "
        "apart; or, for teachers, itself in its own layout",
    )
    parser.add_argument(
        "--structure-layers", type=whole_number(), metavar="N", help="of the structured stream, for --form streams; 2 otherwise"
    )
    parser.add_argument(
        "--pooling", choices=("mean", "cls"), help="of the vectors, for --form whole; what the checkpoint says otherwise"
    )
    parser.add_argument(
        "--vocabulary-size", type=whole_number(), metavar="TOKENS", help="tokens of --init to keep, by use; all otherwise"
    )
    parser.add_argument(
        "--pairs", metavar="LABEL-SET", help="labelled pairs to learn from, for --steps: offers of one product near, others far"
    )
    parser.add_argument(
        "--queries", metavar="LABEL-SET", help="labelled relevance to learn from, for --steps: queries near what answers them"
    )
    labels = ("--pairs", "--queries")
    parser.require_with("--init", "--layers", "--vocabulary-size", *labels, "--form", "--structure-layers", "--pooling")
    parser.require_with("--steps", *labels)
    parser.refuse_with("--init", "--preset")


@dataclass(kw_only=True)
class Run:
    """One run of a job, from its arguments to its report."""

    job: str
    workspace: Workspace
    start: str  # names this start of the job, and its report
    run_id: str  # names the work
    tracking_uri: str | None
    started: float = field(default_factory=time.monotonic)

    def report(
        self,
        figures: Mapping[str, JsonValue],
        accounting: Accounting | None = None,
        warnings: Sequence[str] = (),
        versions: Mapping[str, str] | None = None,
    ) -> JobReport:
        """Verify the accounting; write the report into the workspace, to MLflow, and as one line to stdout. Returns it.

        ``versions`` (of sets, bundles, code) are MLflow's parameters of the run, beside the workspace.
        """
        if accounting is not None:
            accounting.verify(self.job)
        path = self.workspace.report(report_name(self.run_id, self.start))
        report = JobReport(
            job=self.job,
            run_id=self.run_id,
            report=path,
            workspace=self.workspace.root,
            seconds=time.monotonic() - self.started,
            figures=figures,
            accounting=accounting,
            warnings=tuple(warnings),
        )
        report = replace(report, warnings=(*report.warnings, *self._track(report, versions or {})))
        for warning in report.warnings:
            log.warning(warning)
        text = json.dumps(report.as_json(), ensure_ascii=False, indent=2) + "\n"
        if not storage.write_new(path, text.encode()):
            raise M5Error(f"there is a report {path} already", next_step="the work is done; keep both, and report this")
        print_line(report.as_json())
        return report

    def _track(self, report: JobReport, versions: Mapping[str, str]) -> tuple[str, ...]:
        """Log the report's numbers to MLflow; returns warnings."""
        if self.tracking_uri is None:
            return ()
        from m5model.releases.tracking import log_run

        params = {"workspace": self.workspace.root, **versions}
        return log_run(self.tracking_uri, self.job, self.run_id, params, _flatten(report.as_json()))


def start_run(job: str, arguments: argparse.Namespace, run_id: str | None = None) -> Run:
    """Resolve the workspace and make sure that it can be written before any work is done."""
    if run_id is not None:
        require_name("--run-id", run_id)
    workspace = Workspace.resolve(arguments.workspace)
    _check_writable(workspace)
    start = new_start()
    return Run(
        job=job,
        workspace=workspace,
        start=start,
        run_id=run_id or f"{job}-{start}",
        tracking_uri=tracking_uri_of(arguments.tracking_uri, workspace),
    )


def require_workspace(arguments: argparse.Namespace) -> None:
    """Jobs that read what others wrote need a workspace that exists."""
    workspace = Workspace.resolve(arguments.workspace)
    if not storage.exists(workspace.root):
        raise ConfigurationError(
            f"there is no workspace {workspace.root}",
            next_step="make one with `spark-submit jobs/ingest_catalog.py --feed FEED` (or `make demo`), or give --workspace",
        )


def run_job(work: Callable[[Sequence[str] | None], object], argv: Sequence[str] | None) -> int:
    """Run a job's body with the log on stderr; an error that a person can act on becomes a message and its exit code."""
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    for noisy in ("py4j", "alembic", "mlflow", "datasets", "urllib3", "botocore", "httpx", "fsspec"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    try:
        check_arguments(sys.argv[1:] if argv is None else argv)
        work(argv)
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as error:
        known = explain(error)
        if known is None:
            raise
        print(f"error: {known}", file=sys.stderr, flush=True)
        return int(known.exit_code)
    return 0


def print_line(values: Mapping[str, JsonValue]) -> None:
    """Print one line of JSON to stdout, in ASCII where stdout takes nothing else.

    Where nobody reads stdout any more, that is no failure: a report lies in the workspace, too.
    """
    try:
        print(json.dumps(values, ensure_ascii=(sys.stdout.encoding or "utf-8").lower() != "utf-8"), flush=True)
    except BrokenPipeError:
        discard_stdout()


def _check_writable(workspace: Workspace) -> None:
    probe = f"{workspace.reports}/.writable"
    try:
        storage.write_bytes(probe, b"")
    except OSError as error:
        if isinstance(full := explain(error), StorageFullError):
            raise full from error
        raise ConfigurationError(
            f"cannot write to the workspace {workspace.root}: {error}",
            next_step="give a --workspace that this user may write to",
        ) from error


def _flatten(values: Mapping[str, JsonValue], prefix: str = "") -> dict[str, float]:
    """The numbers of a report, nested names joined by dots: what a metric store can hold."""
    numbers: dict[str, float] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            numbers |= _flatten(value, f"{prefix}{name}.")
        elif isinstance(value, int | float):
            numbers[f"{prefix}{name}"] = float(value)
    return numbers
