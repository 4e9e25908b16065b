import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from jobs import distill_student, train_model
from m5model.bundles.find import open_bundle
from schemas.workspace import Workspace

QUICK = ["--preset", "tiny", "--threads", "1", "--tracking-uri", "none"]


@pytest.fixture
def workspace(tmp_path: Path, write_training_set) -> Workspace:
    workspace = Workspace(str(tmp_path / "workspace"))
    write_training_set(workspace, rows=160)
    return workspace


def _report(capsys) -> dict:
    return json.loads(capsys.readouterr().out.splitlines()[-1])


def test_a_teacher_is_made_and_reported(workspace: Workspace, tmp_path: Path, capsys) -> None:
    """Students are distilled by their job in test_real_catalogue.py."""
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    assert train_model.main(["--workspace", workspace.root, *QUICK, "--steps", "8", "--tracking-uri", uri]) == 0
    trained = _report(capsys)
    assert (trained["rows_read"], trained["bundles_made"], trained["warnings"]) == (160, 1, [])
    assert trained["mlm_held_out_loss_after"] < trained["mlm_held_out_loss_before"]
    assert json.loads(Path(trained["report"]).read_text()) == trained
    assert open_bundle(workspace.bundle(trained["bundle"]))[1].recipe["stages"][1]["training"]["steps"] == 8
    assert not list(Path(workspace.checkpoints).rglob("*.safetensors"))


def test_training_killed_at_a_checkpoint_and_run_again_gives_the_bundle_of_an_undisturbed_run(
    workspace: Workspace, capsys
) -> None:
    other = Workspace(f"{workspace.root}-other")
    shutil.copytree(workspace.root, other.root)
    arguments = [*QUICK, "--steps", "16", "--checkpoint-every", "4"]
    assert train_model.main(["--workspace", workspace.root, *arguments]) == 0
    undisturbed = _report(capsys)
    job = subprocess.Popen([sys.executable, "-m", "jobs.train_model", "--workspace", other.root, *arguments])
    _wait_for(lambda: list(Path(other.root).glob("checkpoints/*/*/step-*/manifest.json")), job)
    job.send_signal(signal.SIGKILL)
    job.wait()
    assert not Path(other.bundles).exists()
    assert train_model.main(["--workspace", other.root, *arguments]) == 0
    assert "goes on from step" in capsys.readouterr().err
    assert [path.name for path in Path(other.bundles).iterdir()] == [undisturbed["bundle"]]


def test_without_a_training_set_the_exit_code_is_2_and_the_job_that_makes_one_is_named(tmp_path: Path, capsys) -> None:
    assert train_model.main(["--workspace", str(tmp_path), *QUICK]) == 2
    assert "jobs/sample_training_set.py" in capsys.readouterr().err


def test_without_a_teacher_the_exit_code_is_2_and_the_job_that_makes_one_is_named(workspace: Workspace, capsys) -> None:
    assert distill_student.main(["--workspace", workspace.root, *QUICK]) == 2
    assert "jobs/train_model.py" in capsys.readouterr().err


def test_a_damaged_training_set_ends_with_3(workspace: Workspace, capsys) -> None:
    (next(Path(workspace.training_sets).rglob("*.parquet"))).write_bytes(b"PAR1")
    assert train_model.main(["--workspace", workspace.root, *QUICK]) == 3
    assert "is damaged" in capsys.readouterr().err


def test_a_model_that_learned_nothing_ends_with_4_and_leaves_no_bundle(workspace: Workspace, capsys) -> None:
    assert train_model.main(["--workspace", workspace.root, *QUICK, "--steps", "0"]) == 4
    assert "did not learn" in capsys.readouterr().err
    assert not Path(workspace.bundles).exists()


def test_wrong_settings_end_with_2_before_any_data_is_read(tmp_path: Path, capsys) -> None:
    assert train_model.main(["--workspace", str(tmp_path), *QUICK, "--steps", "-3"]) == 2
    assert "steps is -3" in capsys.readouterr().err


def _wait_for(found, job: subprocess.Popen, seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not found():
        assert job.poll() is None, "the job ended before its first checkpoint was seen"
        assert time.monotonic() < end
        time.sleep(0.02)
