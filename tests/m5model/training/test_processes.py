"""Several processes train what one trains: losses, consumed rows and weights, also after one of them was killed."""

import json
import multiprocessing
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from m5model.data.set_versions import find_label_set
from m5model.tasks import mlm
from m5model.training.config import Machine
from m5model.training.processes import Processes, join_processes
from m5model.training.progress import Progress
from schemas.errors import ConfigurationError
from schemas.workspace import Workspace
from tests.m5model.tasks.conftest import make_labels, one_thread  # noqa: F401
from tests.m5model.tasks.test_label_tasks import _pairs
from tests.m5model.training.two_processes import train_mixture

WORKER = "tests.m5model.training.two_processes"


def _launch(*arguments: object) -> None:
    """Two processes as torchrun starts them, and starts them again when one dies: its own launcher, in this process.

    They are forked from a server that has imported all once.
    """
    multiprocessing.set_forkserver_preload([WORKER])
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=2,
        max_restarts=1,
        monitor_interval=0.1,
        run_id="test",
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        start_method="forkserver",
    )
    elastic_launch(config, train_mixture)(*arguments)


def _read(folder: Path, form: str) -> dict[str, Any]:
    return {**json.loads((folder / f"{form}.json").read_text()), "weights": load_file(folder / f"{form}.safetensors")}


@pytest.fixture
def label_set(make_labels, tmp_path: Path) -> str:  # noqa: F811
    make_labels("pairs", _pairs(), shares={"learn": 0.6, "validate": 0.4})
    return find_label_set(Workspace(str(tmp_path / "pairs")), "set")


def test_two_processes_of_which_one_was_killed_train_what_one_process_trains(
    label_set: str, tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.setattr(Progress, "add", Progress.add)  # the run watches it; it is put back
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    train_mixture(label_set, str(tmp_path / "one"), ["ddp"])
    _launch(label_set, str(tmp_path / "two"), ["ddp", "fsdp", "offload"], 5)
    assert (tmp_path / "two" / "killed").exists()
    one, ddp = _read(tmp_path / "one", "ddp"), _read(tmp_path / "two", "ddp")
    assert (ddp["from"], ddp["count"]) == (3, 2)
    for found in (ddp, *(_read(tmp_path / "two", form) for form in ("fsdp", "offload"))):
        assert found["hash"] == one["hash"]
        assert [found["losses"][step] for step in sorted(found["losses"])] == pytest.approx(
            [one["losses"][step] for step in sorted(found["losses"])], rel=1e-4
        )
        assert found["weights"].keys() == one["weights"].keys()
        for name, tensor in one["weights"].items():
            assert torch.allclose(found["weights"][name], tensor, atol=1e-4), name


def test_alone_a_process_waits_for_nobody() -> None:
    alone = join_processes()
    alone.wait()
    with alone.first_goes_first():
        pass
    assert alone == Processes() and alone.is_first and alone.share("x") == "x" and alone.mean(torch.tensor(2.0)) == 2


def test_the_parts_of_a_batch_hold_every_guess_once_and_their_mean_loss_is_its_loss() -> None:
    import numpy as np

    ids_BL = np.arange(5, 40).reshape(5, 7)
    hiding = mlm.Hiding(share=0.4, mask_id=4, guessable=np.arange(5, 40), is_guessable_V=np.arange(40) >= 5)
    batch = mlm.mask_tokens(ids_BL, np.ones_like(ids_BL), hiding, np.random.default_rng(1))
    for count in (2, 3, 8):
        parts = [mlm.MaskedLanguageModelling.divide(None, batch, part, count) for part in range(count)]  # type: ignore[arg-type]
        assert sorted(np.concatenate([part.targets_M for part in parts])) == sorted(batch.targets_M)
        assert all(part.chosen_BL.sum() == len(part.targets_M) and len(part.ids_BL) for part in parts)
        assert sum(len(part.targets_M) / part.guesses for part in parts) / count == pytest.approx(1)


def test_offloading_without_parts_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="offload needs parallel fsdp"):
        Machine(offload=True)
