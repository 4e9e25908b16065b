"""The schedule's entry: runs of it, and the exit codes that a scheduler acts on."""

import json
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from jobs import embed_catalog, ingest_catalog, refresh_catalog
from m5model.files import storage


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


def test_a_refresh_embeds_what_changed_and_a_second_one_finds_nothing_to_do(workspace: Path, tmp_path: Path, report_of) -> None:
    titles = [f"red cotton shirt number {i}" for i in range(8)]
    report_of(ingest_catalog, "--workspace", str(workspace), "--feed", _write_feed(tmp_path / "feed.jsonl", titles))
    report_of(embed_catalog, "--workspace", str(workspace))
    changed = _write_feed(tmp_path / "changes.jsonl", ["a blue one", *titles[1:]])
    first = report_of(refresh_catalog, "--workspace", str(workspace), "--feed", changed)["stages"]
    assert [first[stage]["accounting"]["written"] for stage in ("ingest", "embed")] == [1, 1]
    assert not any(view["unchanged"] for view in first["publish"]["views"].values())
    again = report_of(refresh_catalog, "--workspace", str(workspace), "--feed", changed)["stages"]
    assert [again[stage]["accounting"]["written"] for stage in ("ingest", "embed")] == [0, 0]
    assert all(view["unchanged"] for view in again["publish"]["views"].values())


def test_a_refresh_ends_with_the_exit_code_of_the_stage_that_refused(
    workspace: Path, tmp_path: Path, spark: SparkSession
) -> None:
    bad = tmp_path / "bad.jsonl"
    bad.write_text('{"locale": "US"}\n')
    root = ["--workspace", str(workspace)]
    assert refresh_catalog.main([*root, "--feed", str(bad)]) == 3
    assert refresh_catalog.main([*root, "--feed", str(tmp_path / "absent.jsonl")]) == 2
    assert refresh_catalog.main(["--workspace", str(tmp_path / "nowhere")]) == 2
