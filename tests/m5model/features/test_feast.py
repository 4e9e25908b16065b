"""The Feast repository: what is written, and, where Feast is at hand, what Feast reads from it."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from m5model.cli import main
from m5model.features.feast import write_repository
from m5model.features.publications import read_publications
from schemas.errors import ConfigurationError
from schemas.workspace import Workspace
from tests.m5model.features.views import OLD_SPACE, PAIRS, SPACE, brand_row, pair_row, publish_view

# An interpreter that has Feast, which needs other versions of what M5 pins.
FEAST_PYTHON = os.environ.get("M5_FEAST_PYTHON", sys.executable if find_spec("feast") else "")


def _files(out: Path, view: str = "brands") -> list[str]:
    return sorted(file.name for file in (out / "data" / view).iterdir())


def test_a_version_becomes_a_file_whose_rows_say_when_they_were_published(workspace: Workspace, tmp_path: Path) -> None:
    publish_view(workspace, [brand_row("A"), brand_row("B")])
    write_repository(workspace, ["brands"], str(tmp_path))
    (published,) = read_publications(workspace.table("features/brands"))
    rows = pq.read_table(tmp_path / "data/brands/00000000.parquet").to_pylist()
    assert [row["item_id"] for row in rows] == ["A", "B"]
    assert {row["published_at"] for row in rows} == {published.committed_at}


def test_a_renewed_repository_gains_what_was_published_and_loses_what_is_too_old(workspace: Workspace, tmp_path: Path) -> None:
    for count, files, added in ((1, [0], (0,)), (2, [0, 1], (1,)), (3, [1, 2], (2,)), (3, [1, 2], ())):
        while len(read_publications(workspace.table("features/brands"))) < count:
            publish_view(workspace, [brand_row("A")])
        (written,) = write_repository(workspace, ["brands"], str(tmp_path), versions=2)
        assert (written.versions, written.added) == (tuple(files), added)
        assert _files(tmp_path) == [f"{version:08d}.parquet" for version in files]


def test_rows_of_two_spaces_are_never_in_one_repository(workspace: Workspace, tmp_path: Path) -> None:
    publish_view(workspace, [brand_row("A")], space=OLD_SPACE)
    publish_view(workspace, [brand_row("A")])
    assert write_repository(workspace, ["brands"], str(tmp_path), versions=9)[0].versions == (1,)


def test_the_definitions_are_python_and_changed_stores_are_kept(workspace: Workspace, tmp_path: Path) -> None:
    publish_view(workspace, [pair_row("A", "B")], view=PAIRS)
    (tmp_path / "feature_store.yaml").write_text("project: theirs")
    write_repository(workspace, ["duplicates"], str(tmp_path))
    text = (tmp_path / "views.py").read_text()
    compile(text, "views.py", "exec")
    assert "entities=[locale, item_id, other_item_id]" in text and "Field(name='same_text', dtype=Bool)" in text
    assert (tmp_path / "feature_store.yaml").read_text() == "project: theirs"


def test_the_command_writes_every_view_and_refuses_one_that_there_is_not(
    workspace: Workspace, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    publish_view(workspace, [brand_row("A")])
    command = ["features", "feast", "--out", str(tmp_path / "out"), "--workspace", workspace.root]
    assert main(command) == 0
    assert "brands: versions 0, added 0" in capsys.readouterr().out
    assert main([*command, "--view", "colours"]) == 2
    with pytest.raises(ConfigurationError, match="published are: brands"):
        write_repository(workspace, ["colours"], str(tmp_path))


def _read_by_feast(out: Path, view: str, entities: list[dict[str, str]], *columns: str) -> dict[str, Any]:
    asked = out / "entities.json"
    asked.write_text(json.dumps(entities))
    script = Path(__file__).with_name("read_by_feast.py")
    done = subprocess.run(
        [FEAST_PYTHON, script, out, view, asked, *columns], capture_output=True, text=True, check=False, timeout=240
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.skipif(not FEAST_PYTHON, reason="Feast is not installed; $M5_FEAST_PYTHON names an interpreter that has it")
def test_feast_gives_the_rows_that_readers_saw_at_each_time(workspace: Workspace, tmp_path: Path) -> None:
    publish_view(workspace, [brand_row("A", score=0.25)])
    publish_view(workspace, [brand_row("A", score=0.75), brand_row("B", brand=None)])
    first, second = (one.committed_at for one in read_publications(workspace.table("features/brands")))
    write_repository(workspace, ["brands"], str(tmp_path), versions=2)
    asked = [
        {"locale": "DE", "item_id": item, "event_timestamp": moment.isoformat()}
        for item, moment in (("A", first), ("A", second), ("B", second))
    ]
    found = _read_by_feast(tmp_path, "brands", asked, "score", "votes", "vector", "brand")
    assert [(row["item_id"], row["score"], row["brand"]) for row in found["past"]] == [
        ("A", 0.25, "Acme"),
        ("A", 0.75, "Acme"),
        ("B", 0.5, None),
    ]
    assert [round(value, 6) for value in found["past"][0]["vector"]] == [0.6, 0.8]
    assert found["online"]["score"] == [0.75, 0.75, 0.5]
    assert (found["tags"]["m5.space_id"], found["owner"]) == (SPACE, "brand-classification")
