"""Versions of training sets, listed and compared, and their rows as a stream."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from m5model.cli import main
from m5model.data.set_versions import compare_versions
from schemas.workspace import Workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(str(tmp_path))


@pytest.fixture
def two_versions(workspace, write_training_set) -> tuple[Path, Path]:
    """v1: items 0 to 39. v2: items 2 to 49, of which item 5 has another content."""
    old = write_training_set(workspace, version="v1", rows=40, rows_by_language={"en": 30, "de": 10})
    new = write_training_set(
        workspace, version="v2", rows=50, created_at="2026-02-01T00:00:00+00:00", rows_by_language={"en": 20, "ja": 30}
    )
    file = new / "data" / "part-0.parquet"
    table = pq.read_table(file)
    rows = [{**row, "content_hash": "0" * 64} if row["item_id"] == "I00005" else row for row in table.to_pylist()[2:]]
    pq.write_table(table.from_pylist(rows, table.schema), file)
    return old, new


def test_two_versions_differ_in_the_keys_that_were_added_gone_and_changed(two_versions) -> None:
    found = compare_versions(*map(str, two_versions))
    assert (found.same, len(found.added), len(found.gone), len(found.changed)) == (37, 10, 2, 1)
    assert found.changed[0].endswith("/I00005")
    assert all(key.split("/")[1] >= "I00040" for key in found.added)
    assert found.shares == {"de": (0.25, 0.0), "en": (0.75, 0.4), "ja": (0.0, 0.6)}


def test_a_version_does_not_differ_from_itself(two_versions) -> None:
    found = compare_versions(str(two_versions[1]), str(two_versions[1]))
    assert (found.same, found.added, found.gone, found.changed) == (48, (), (), ())


def test_a_repeated_row_counts_as_often_as_it_stands(workspace, write_training_set) -> None:
    once = write_training_set(workspace, version="once", rows=40)
    twice = write_training_set(workspace, version="twice", rows=40)
    file = twice / "data" / "part-0.parquet"
    table = pq.read_table(file)
    repeated = [{**row, "copy": 1} for row in table.to_pylist()[:3]]
    pq.write_table(table.from_pylist(table.to_pylist() + repeated, table.schema), file)
    found = compare_versions(str(once), str(twice))
    assert (found.same, [key[-2:] for key in found.added]) == (40, ["#1"] * 3)


def test_sets_list_prints_the_versions_oldest_first(two_versions, workspace, capsys) -> None:
    assert main(["sets", "list", "--workspace", workspace.root]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["version", "small/v1", "small/v2"]
    assert "en 75.0%" in lines[1]
    assert main(["sets", "list", "--workspace", workspace.root, "--json"]) == 0
    assert [json.loads(line)["version"] for line in capsys.readouterr().out.splitlines()] == ["v1", "v2"]


def test_sets_list_of_an_empty_workspace_names_the_job_that_makes_sets(workspace, capsys) -> None:
    assert main(["sets", "list", "--workspace", workspace.root]) == 0
    assert "jobs/sample_training_set.py" in capsys.readouterr().out


def test_sets_diff_prints_counts_keys_and_shares(two_versions, workspace, capsys) -> None:
    assert main(["sets", "diff", "small/v1", "small", "--workspace", workspace.root]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("small/v1 (40 rows) → small/v2 (50 rows)")
    assert "ja    0.00% →  60.00%" in printed
    assert main(["sets", "diff", "small/v1", "small/v2", "--workspace", workspace.root, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["same"], found["added"], found["gone"], found["changed"]) == (37, 10, 2, 1)


def test_sets_diff_of_an_unknown_version_ends_with_2_and_names_those_that_there_are(two_versions, workspace, capsys) -> None:
    assert main(["sets", "diff", "small/v1", "small/v3", "--workspace", workspace.root]) == 2
    assert "small/v1, small/v2" in capsys.readouterr().err
