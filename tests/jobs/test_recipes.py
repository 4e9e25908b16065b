"""The job that trains takes recipes by name and as files; wrong ones end with 2 before anything is read."""

import json
from pathlib import Path

import pytest

from jobs import train_model
from schemas.workspace import Workspace


@pytest.fixture
def workspace(tmp_path: Path, write_training_set) -> Workspace:
    workspace = Workspace(str(tmp_path / "w"))
    write_training_set(workspace, rows=80)
    return workspace


@pytest.mark.parametrize(
    ("flags", "problem"),
    [
        (["--recipe", "nowhere.json"], "there is no recipe nowhere.json"),
        (["--recipe", "multitask"], "multitask needs --labels"),
        (["--recipe", "multitask", "--labels", "brand"], "'brand' is no TASK=SET"),
        (["--recipe", "multitask", "--labels", "brand=b", "--finetune", "x"], "finetune is 'x', expected one of brand"),
        (["--recipe", "multitask", "--labels", "brand=b", "--preset", "tiny"], "no label set 'b'"),
        (["--without-guard", "x"], "without_guards is x"),
    ],
)
def test_a_recipe_that_cannot_be_run_is_refused(workspace, capsys, flags: list[str], problem: str) -> None:
    assert train_model.main(["--workspace", workspace.root, *flags]) == 2
    assert problem in capsys.readouterr().err


def test_a_dry_run_of_a_file_reports_its_stages_and_makes_no_bundle(workspace, tmp_path: Path, capsys) -> None:
    share = {"task": "corruption", "settings": {"batch_rows": 8}}
    stage = {"kind": "tasks", "stage": "train", "training": {"steps": 50, "learning_rate": 1e-3}, "tasks": [share]}
    file = tmp_path / "recipe.json"
    file.write_text(json.dumps({"name": "mine", "preset": "tiny", "stages": [{"kind": "vocabulary", "size": 400}, stage]}))
    assert train_model.main(["--workspace", workspace.root, "--recipe", str(file), "--dry-run", "--threads", "1"]) == 0
    report = json.loads(capsys.readouterr().out.splitlines()[-1])
    (estimate,) = report["stages"]
    assert (report["recipe"], estimate["steps"], estimate["tasks"][0]["name"]) == ("mine", 50, "corruption")
    assert estimate["tokens"] > 50 * 8 * 5 and not Path(workspace.bundles).exists()
