from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from m5model.data.token_rows import TokenRows
from m5model.encoders.bert import build_encoder
from m5model.encoders.device import choose_device
from m5model.encoders.encoder import TextEncoder
from m5model.encoders.presets import EncoderPreset
from m5model.tasks import Batching, Examples, TaskData, mlm
from m5model.training.checkpoints import NOTHING_CONSUMED, Checkpoints, consume
from m5model.training.config import TrainingConfig
from m5model.training.learner import Learner
from m5model.training.loop import Outcome, Run, TrainingDivergedError, train
from m5model.training.mixture import mix
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
)
CONFIG = TrainingConfig(steps=12, learning_rate=1e-2)


class Killed(Exception):
    """The test's own way to end a run in the middle."""


@pytest.fixture
def rows() -> TokenRows:
    from datasets import Dataset

    draw = np.random.default_rng(2)
    ids = [[2, *draw.integers(5, 60, draw.integers(2, 12)).tolist(), 3] for _ in range(80)]
    lengths = np.asarray([len(row) for row in ids])
    return TokenRows(Dataset.from_dict({"ids": ids}), lengths, np.arange(80))


def _learner(rows: TokenRows) -> tuple[Learner, mlm.MaskedLanguageModelling]:
    encoder = build_encoder(MICRO, seed=1)
    task = mlm.build(mlm.Settings(token_budget=64), encoder, TaskData(learn=rows, held_out=rows, seed=0))
    return Learner(encoder, [task]), task


def _train(rows: TokenRows, folder: Path, run: str = "r1", stop_at: int | None = None) -> tuple[Learner, Outcome]:
    learner, task = _learner(rows)
    if stop_at is not None:
        calls = []

        def count(*_: object) -> None:
            calls.append(1)
            if len(calls) == stop_at:
                raise Killed

        learner.encoder.register_forward_pre_hook(count)
    mixture, checkpoints = mix([(task, 1)], "content", 0), Checkpoints(str(folder), run)
    return learner, train(
        Run(label="test", learner=learner, mixture=mixture, config=CONFIG, checkpoint_every=4, checkpoints=checkpoints)
    )


def test_a_run_that_was_killed_and_started_again_ends_with_the_bytes_of_an_undisturbed_one(rows, tmp_path: Path) -> None:
    undisturbed, expected = _train(rows, tmp_path / "a")
    with pytest.raises(Killed):
        _train(rows, tmp_path / "b", stop_at=11)
    resumed, outcome = _train(rows, tmp_path / "b")
    assert outcome.resumed_from == 8
    assert (outcome.consumed_hash, outcome.last_loss) == (expected.consumed_hash, expected.last_loss)
    for name, tensor in undisturbed.state_dict().items():
        assert torch.equal(tensor, resumed.state_dict()[name]), name


def test_a_run_that_was_killed_when_all_its_steps_were_done_still_says_its_last_loss(rows, tmp_path: Path) -> None:
    _, expected = _train(rows, tmp_path)
    _, outcome = _train(rows, tmp_path)
    assert (outcome.resumed_from, outcome.last_loss) == (CONFIG.steps, expected.last_loss)
    assert outcome.last_loss is not None


def test_a_checkpoint_that_was_not_finished_is_passed_over(rows, tmp_path: Path) -> None:
    with pytest.raises(Killed):
        _train(rows, tmp_path, stop_at=11)
    (tmp_path / "step-00000008" / "manifest.json").unlink()
    assert _train(rows, tmp_path)[1].resumed_from == 4


def test_a_checkpoint_of_another_run_is_refused(rows, tmp_path: Path) -> None:
    _train(rows, tmp_path)
    with pytest.raises(ConfigurationError, match="checkpoint of run r1, expected r2"):
        _train(rows, tmp_path, run="r2")


def test_a_checkpoint_that_consumed_other_rows_is_refused(rows, tmp_path: Path) -> None:
    _train(rows, tmp_path)
    renamed = replace(rows, keys=rows.keys + 1)
    with pytest.raises(ConfigurationError, match="the first 12 steps would consume"):
        _train(renamed, tmp_path)


def test_only_the_last_two_checkpoints_are_kept_and_none_after_delete(rows, tmp_path: Path) -> None:
    _train(rows, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-00000008", "step-00000012"]
    Checkpoints(str(tmp_path), "r1").delete()
    assert not tmp_path.exists()


@dataclass(frozen=True)
class Step:
    number: int
    tokens: int = 2


class Diverging:
    """A task whose loss is no number at step 3."""

    name, metric, lower_is_better, seed = "diverging", "loss", True, 0
    examples = Examples(keys=np.arange(4), lengths=np.ones(4, int))
    batching = Batching(batch_rows=2)

    def __init__(self) -> None:
        self.head: nn.Module = nn.Linear(2, 1)

    def batch(self, step: int, rows: np.ndarray) -> Step:
        return Step(step)

    def logits(self, encoder: TextEncoder, batch: Step) -> Tensor:
        return self.head(torch.ones(2)) * float("nan" if batch.number == 3 else 1)

    def loss(self, logits: Tensor, batch: Step) -> Tensor:
        return logits.sum()

    def measure(self, encoder: TextEncoder) -> float:
        return 0.0


def test_a_loss_that_is_no_number_stops_the_run_and_names_the_task() -> None:
    task = Diverging()
    learner = Learner(build_encoder(MICRO), [task])
    with pytest.raises(TrainingDivergedError, match="loss of diverging is nan at step 3"):
        train(Run(label="test", learner=learner, mixture=mix([(task, 1)], "c", 0), config=CONFIG))


def test_the_consumed_hash_depends_on_task_and_rows_and_their_order() -> None:
    first, second = np.asarray([1, 2]), np.asarray([3])
    forth = consume(consume(NOTHING_CONSUMED, "a", first), "a", second)
    assert forth == consume(consume(NOTHING_CONSUMED, "a", first), "a", second)
    assert forth != consume(consume(NOTHING_CONSUMED, "a", second), "a", first)
    assert forth != consume(consume(NOTHING_CONSUMED, "a", first), "b", second)


def test_training_lowers_the_loss_on_what_it_saw(rows, tmp_path: Path) -> None:
    untrained, task = _learner(rows)
    before = task.measure(untrained.eval().encoder)
    learner, task = _learner(rows)
    train(Run(label="test", learner=learner, mixture=mix([(task, 1)], "content", 0), config=CONFIG))
    assert task.measure(learner.encoder) < before


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_cuda_without_a_gpu_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="no GPU"):
        choose_device("cuda")
