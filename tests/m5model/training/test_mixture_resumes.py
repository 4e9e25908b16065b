"""A mixture that is killed in the middle and started again ends with the bytes of an undisturbed one."""

from pathlib import Path

import pytest
import torch

from m5model.encoders.bert import build_encoder
from m5model.tasks import contrast, duplicates
from m5model.training.checkpoints import Checkpoints
from m5model.training.config import TrainingConfig
from m5model.training.learner import Learner
from m5model.training.loop import Outcome, Run, train
from m5model.training.mixture import mix
from tests.m5model.tasks.conftest import MICRO, data_of, make_labels, one_thread  # noqa: F401
from tests.m5model.tasks.test_label_tasks import _pairs


class Killed(Exception):
    """The test's own way to end a run in the middle."""


def _train(data, folder: Path, stop_at: int | None = None) -> tuple[Learner, Outcome]:
    torch.manual_seed(3)
    encoder = build_encoder(MICRO, data.tokenizer.get_vocab_size(), seed=1)
    tasks = [
        duplicates.build(duplicates.Settings(form="concatenation", token_budget=256), encoder, data),
        contrast.build(contrast.Settings(batch_rows=4, negatives="mined"), encoder, data),
    ]
    learner = Learner(encoder, tasks)
    calls: list[int] = []

    def count(*_: object) -> None:
        calls.append(1)
        if stop_at is not None and len(calls) == stop_at:
            raise Killed

    tasks[0].head.register_forward_pre_hook(count)
    run = Run(
        label="test",
        learner=learner,
        mixture=mix([(tasks[0], 2), (tasks[1], 1)], "c", 0, [1.0, 0.5]),
        config=TrainingConfig(steps=14, learning_rate=5e-3),
        checkpoint_every=4,
        checkpoints=Checkpoints(str(folder), "run"),
    )
    return learner, train(run)


def test_a_mixture_that_was_killed_ends_with_the_bytes_of_an_undisturbed_one(tmp_path: Path, make_labels) -> None:  # noqa: F811
    data = data_of(make_labels("pairs", _pairs(), shares={"learn": 0.6, "validate": 0.4}))
    undisturbed, expected = _train(data, tmp_path / "a")
    for stop_at in (2, 4, 3):
        with pytest.raises(Killed):
            _train(data, tmp_path / "b", stop_at)
    resumed, outcome = _train(data, tmp_path / "b")
    assert outcome.resumed_from and outcome.consumed_hash == expected.consumed_hash
    for name, tensor in undisturbed.state_dict().items():
        assert torch.equal(tensor, resumed.state_dict()[name]), name
