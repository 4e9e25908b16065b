"""Every start of a job leaves a report of its own, whatever it did and whatever its run is called."""

import json
from argparse import Namespace
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from jobs.command_line import start_run
from schemas.report import is_report_of
from schemas.workspace import Workspace
from spark.retention.references import find_unfinished_runs


def _report(workspace: Path, run_id: str | None, written: int) -> dict:
    run = start_run("embed_catalog", Namespace(workspace=str(workspace), tracking_uri="none"), run_id)
    return run.report({"written": written}).as_json()  # type: ignore[return-value]


@pytest.mark.parametrize("run_id", ["embed-0123456789ab", "mine", None])
def test_an_idle_run_replaces_no_report_of_the_run_that_did_the_work(tmp_path: Path, run_id: str | None) -> None:
    with ThreadPoolExecutor() as pool:  # in one second
        reports = list(pool.map(lambda written: _report(tmp_path, run_id, written), (100, 0, 0, 0)))
    assert len(set(tmp_path.glob("reports/*.json"))) == 4
    assert [json.loads(Path(report["report"]).read_text())["written"] for report in reports] == [100, 0, 0, 0]
    assert len({report["run_id"] for report in reports}) == (4 if run_id is None else 1)


def test_a_run_is_finished_when_any_of_its_starts_has_reported(tmp_path: Path) -> None:
    workspace = Workspace(str(tmp_path))
    for run_id in ("embed-a", "embed-a-b", "embed-c"):
        Path(workspace.reports).mkdir(exist_ok=True)
        Path(workspace.pin(run_id)).write_text('{"listings_version": 3}')
    _report(tmp_path, "embed-a-b", 1)
    Path(workspace.report("embed-c")).write_text("{}")  # as older versions named it
    assert find_unfinished_runs(workspace) == {"embed-a": 3}


def test_reports_are_told_apart_from_those_of_runs_whose_name_begins_alike() -> None:
    assert is_report_of("embed-a", "embed-a-20261127T101112-0123abcd.json") and is_report_of("embed-a", "embed-a.json")
    assert not is_report_of("embed-a", "embed-a-b-20261127T101112-0123abcd.json")
    assert not is_report_of("embed.a", "embed-a.json")
