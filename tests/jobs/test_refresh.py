"""The schedule's entry, as a scheduler calls it: a process with an exit code."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from m5model.files import storage

ROOT = Path(__file__).parents[2]


def _refresh(workspace: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "jobs" / "refresh_catalog.py"), "--workspace", str(workspace), *arguments]
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=False)


def _report(answer: subprocess.CompletedProcess[str]) -> dict:
    assert answer.returncode == 0, answer.stderr[-3_000:]
    return json.loads(answer.stdout.splitlines()[-1])


def _write_feed(path: Path, titles: list[str]) -> str:
    rows = [
        {"locale": "US", "item_id": str(i), "language": "en", "title": title, "brand": "Acme"} for i, title in enumerate(titles)
    ]
    path.write_text("\n".join(map(json.dumps, rows)))
    return str(path)


@pytest.fixture
def workspace(tmp_path: Path, trained) -> Path:
    storage.upload_folder(trained.student_folder, str(tmp_path / "workspace" / "bundles" / trained.student.id))
    return tmp_path / "workspace"


def test_a_refresh_embeds_what_changed_and_a_second_one_finds_nothing_to_do(workspace: Path, tmp_path: Path) -> None:
    titles = [f"red cotton shirt number {i}" for i in range(8)]
    feed = _write_feed(tmp_path / "feed.jsonl", titles)
    first = _report(_refresh(workspace, "--feed", feed))["stages"]
    assert [first[stage]["accounting"]["written"] for stage in ("ingest", "embed")] == [8, 8]
    assert not any(view["unchanged"] for view in first["publish"]["views"].values())
    again = _report(_refresh(workspace, "--feed", feed))["stages"]
    assert [again[stage]["accounting"]["written"] for stage in ("ingest", "embed")] == [0, 0]
    assert all(view["unchanged"] for view in again["publish"]["views"].values())
    changed = _write_feed(tmp_path / "changes.jsonl", ["a blue one", *titles[1:]])
    third = _report(_refresh(workspace, "--feed", changed))["stages"]
    assert [third[stage]["accounting"]["written"] for stage in ("ingest", "embed")] == [1, 1]


def test_a_refresh_ends_with_the_exit_code_of_the_stage_that_refused(workspace: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.jsonl"
    bad.write_text('{"locale": "US"}\n')
    assert _refresh(workspace, "--feed", str(bad)).returncode == 3
    assert _refresh(workspace, "--feed", str(tmp_path / "absent.jsonl")).returncode == 2
    assert _refresh(tmp_path / "nowhere").returncode == 2
