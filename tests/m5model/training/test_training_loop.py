from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from m5model.data.token_rows import BatchOrder, TokenRows
from m5model.encoders.bert import build_encoder
from m5model.encoders.presets import EncoderPreset
from m5model.tasks.mlm import MaskedLanguageModel, held_out_loss, pretrain
from m5model.training.checkpoints import NOTHING_CONSUMED, Checkpoints, consume
from m5model.training.config import TrainingConfig
from m5model.training.loop import Outcome, Run, StepLoss, TrainingDivergedError, choose_device, train
from schemas.errors import ConfigurationError

MICRO = EncoderPreset(
    name="micro",
    layers=1,
    hidden_size=16,
    heads=2,
    intermediate_size=32,
    vocabulary_size=60,
    max_tokens=16,
    parameters=0,
    steps=12,
    token_budget=64,
    learning_rate=1e-2,
)


class Killed(Exception):
    """The test's own way to end a run in the middle."""


@pytest.fixture
def rows() -> TokenRows:
    from datasets import Dataset

    draw = np.random.default_rng(2)
    ids = [[2, *draw.integers(5, 60, draw.integers(2, 12)).tolist(), 3] for _ in range(80)]
    lengths = np.asarray([len(row) for row in ids])
    return TokenRows(Dataset.from_dict({"ids": ids}), lengths, np.arange(80))


def _config(device: str = "cpu") -> TrainingConfig:
    return TrainingConfig(steps=12, learning_rate=1e-2, token_budget=64, checkpoint_every=4, device=device, threads=1)


def _pretrain(
    rows: TokenRows, folder: Path, run: str = "r1", stop_at: int | None = None
) -> tuple[MaskedLanguageModel, Outcome]:
    model = MaskedLanguageModel(build_encoder(MICRO, seed=1))
    if stop_at is not None:
        calls = []

        def count(*_: object) -> None:
            calls.append(1)
            if len(calls) == stop_at:
                raise Killed

        model.register_forward_pre_hook(count)
    return model, pretrain(model, rows, _config(), "content", Checkpoints(str(folder), run), "test")


def test_a_run_that_was_killed_and_started_again_ends_with_the_bytes_of_an_undisturbed_one(rows, tmp_path: Path) -> None:
    undisturbed, expected = _pretrain(rows, tmp_path / "a")
    with pytest.raises(Killed):
        _pretrain(rows, tmp_path / "b", stop_at=11)
    resumed, outcome = _pretrain(rows, tmp_path / "b")
    assert outcome.resumed_from == 8
    assert outcome.consumed_hash == expected.consumed_hash
    for name, tensor in undisturbed.state_dict().items():
        assert torch.equal(tensor, resumed.state_dict()[name]), name


def test_a_checkpoint_that_was_not_finished_is_passed_over(rows, tmp_path: Path) -> None:
    with pytest.raises(Killed):
        _pretrain(rows, tmp_path, stop_at=11)
    (tmp_path / "step-00000008" / "manifest.json").unlink()
    assert _pretrain(rows, tmp_path)[1].resumed_from == 4


def test_a_checkpoint_of_another_run_is_refused(rows, tmp_path: Path) -> None:
    _pretrain(rows, tmp_path)
    with pytest.raises(ConfigurationError, match="checkpoint of run r1, expected r2"):
        _pretrain(rows, tmp_path, run="r2")


def test_a_checkpoint_that_consumed_other_rows_is_refused(rows, tmp_path: Path) -> None:
    _pretrain(rows, tmp_path)
    renamed = replace(rows, keys=rows.keys + 1)
    with pytest.raises(ConfigurationError, match="the first 12 steps would consume"):
        _pretrain(renamed, tmp_path)


def test_only_the_last_two_checkpoints_are_kept_and_none_after_delete(rows, tmp_path: Path) -> None:
    _pretrain(rows, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-00000008", "step-00000012"]
    Checkpoints(str(tmp_path), "r1").delete()
    assert not tmp_path.exists()


def test_a_loss_that_is_no_number_stops_the_run() -> None:
    model = nn.Linear(2, 1)
    order = BatchOrder(np.ones(4, int), content_hash="c", seed=0, batch_rows=2)
    run = Run(
        label="test",
        model=model,
        config=_config(),
        order=order,
        keys=np.arange(4),
        loss=lambda step, batch: StepLoss(model(torch.ones(2)).sum() * float("nan" if step == 3 else 1), 2),
    )
    with pytest.raises(TrainingDivergedError, match="nan at step 3"):
        train(run)


def test_the_consumed_hash_depends_on_rows_and_their_order() -> None:
    first, second = np.asarray([1, 2]), np.asarray([3])
    forth = consume(consume(NOTHING_CONSUMED, first), second)
    back = consume(consume(NOTHING_CONSUMED, second), first)
    assert forth != back
    assert forth == consume(consume(NOTHING_CONSUMED, first), second)


def test_training_lowers_the_loss_on_what_it_saw(rows, tmp_path: Path) -> None:
    untrained = MaskedLanguageModel(build_encoder(MICRO, seed=1))
    trained, _ = _pretrain(rows, tmp_path)
    assert held_out_loss(trained, rows, _config()) < held_out_loss(untrained, rows, _config())


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_cuda_without_a_gpu_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="no GPU"):
        choose_device(_config(device="cuda"))
