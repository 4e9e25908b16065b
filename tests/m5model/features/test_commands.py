"""m5 features: what people and programs read, and the exit codes."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from m5model.cli import main
from schemas.workspace import Workspace
from tests.m5model.features.views import BRANDS, OLD_SPACE, PAIRS, SPACE, brand_row, pair_row, publish_view, write_listings


@pytest.fixture
def root(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> str:
    """Two views: one with two versions and an unpublished change of listings, one with one."""
    listings = write_listings(workspace, [("DE", "A"), ("DE", "B")])
    publish_view(workspace, [brand_row("A")], listings=listings, min_listings=2)
    publish_view(workspace, [brand_row("A", score=0.9), brand_row("B", brand=None)], listings=listings, min_listings=3)
    publish_view(workspace, [pair_row("A", "B")], view=PAIRS, listings=listings)
    write_listings(workspace, [("DE", "A")])
    monkeypatch.setenv("M5_WORKSPACE", workspace.root)
    return workspace.root


def _answer(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> str:
    assert main(["features", *arguments]) == code
    said = capsys.readouterr()
    return said.err if code else said.out


def _answer_json(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    return json.loads(_answer(capsys, *arguments, "--json"))


def test_a_list_has_a_line_for_each_view(root: str, capsys: pytest.CaptureFixture[str]) -> None:
    lines = _answer(capsys, "list").splitlines()
    assert [line.split()[0] for line in lines] == ["view", "brands", "duplicates"]
    assert "100.0%" in lines[1] and SPACE in lines[1] and "waiting" in lines[1]
    views = [json.loads(line) for line in _answer(capsys, "list", "--json").splitlines()]
    assert [(view["view"], view["rows"], view["freshness"]["stale"]) for view in views] == [
        ("brands", 2, False),
        ("duplicates", 1, False),
    ]


def test_without_views_the_list_names_the_job(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    assert "jobs/publish_features.py" in _answer(capsys, "list", "--workspace", workspace.root)


def test_stale_views_are_named(root: str, capsys: pytest.CaptureFixture[str]) -> None:
    late = replace(BRANDS, name="slow", freshness_hours=-1)
    publish_view(Workspace(root), [brand_row("A")], listings=0, view=late)
    assert "slow is stale: a change has waited" in _answer(capsys, "list")


def test_a_view_is_shown_with_its_versions_coverage_nulls_drift_and_lineage(
    root: str, capsys: pytest.CaptureFixture[str]
) -> None:
    text = _answer(capsys, "show", "brands")
    for part in ("covers", "nulls: brand 50.0%", "BEYOND shift of score", "made from:", "listings   version 0"):
        assert part in text
    shown = _answer_json(capsys, "show", "brands")
    assert [version["rows"] for version in shown["versions"]] == [1, 2]
    assert shown["coverage_by_locale"] == {"DE": 1.0}
    assert shown["lineage"]["space_id"] == SPACE


def test_a_view_that_there_is_not_is_refused_with_those_that_there_are(root: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert "published are: brands, duplicates" in _answer(capsys, "show", "colours", code=2)


def test_a_difference_shows_counts_settings_and_listings(root: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = _answer(capsys, "diff", "brands", "0", "1")
    for part in ("added               1", "setting min_listings: 2 → 3", "score=0.5 → 0.9", "title of B (Acme)"):
        assert part in text
    assert _answer_json(capsys, "diff", "brands", "0", "1")["changed_columns"] == {"score": 1}


def test_rows_are_read_as_of_a_version_into_a_file_or_to_stdout(
    root: str, capfdbinary: pytest.CaptureFixture[bytes], tmp_path: Path
) -> None:
    assert main(["features", "read", "brands", "--columns", "item_id,votes", "--limit", "1"]) == 0
    assert json.loads(capfdbinary.readouterr().out) == {"item_id": "A", "votes": 2}
    out = tmp_path / "rows.csv"
    assert (
        main(["features", "read", "brands", "--as-of", "0", "--columns", "item_id", "--format", "csv", "--out", str(out)]) == 0
    )
    assert out.read_text().split() == ['"item_id"', '"A"']


def test_a_reader_of_another_space_is_refused(root: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert f"this reader declares {OLD_SPACE}" in _answer(capsys, "read", "brands", "--space", OLD_SPACE, code=1)


def test_a_rollback_and_its_release_say_what_readers_see(root: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert "shows again the rows of version 0, as version 2" in _answer(capsys, "rollback", "brands", "0")
    assert "brands is held at version 0" in _answer(capsys, "list")
    assert _answer_json(capsys, "rollback", "brands", "0")["repeated"]
    assert _answer_json(capsys, "show", "brands")["held_at"] == 0
    assert "until it is published again" in _answer(capsys, "release", "brands")
    assert "brands is not held" in _answer(capsys, "release", "brands")


def test_a_version_is_a_number(root: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert "give one of: 0, 1" in _answer(capsys, "rollback", "brands", "9", code=2)
    assert main(["features", "rollback", "brands", "-1"]) == 2
