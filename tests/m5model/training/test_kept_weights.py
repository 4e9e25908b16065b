"""A stage may keep a share of the weights that it begins with."""

import pytest
import torch

from m5model.encoders.bert import build_encoder
from m5model.encoders.presets import TINY
from m5model.tasks import mlm
from m5model.training.config import TrainingConfig
from m5model.training.recipes import CONTRAST_KEPT, contrast_shares, contrast_stage, teacher
from m5model.training.shares import TaskShare
from m5model.training.stages import LearnTasks, keep_share
from schemas.errors import ConfigurationError


def test_weights_move_back_by_the_share_and_by_no_other() -> None:
    began, trained = build_encoder(TINY, 64, seed=1), build_encoder(TINY, 64, seed=2)
    ended = {name: weight.detach().clone() for name, weight in trained.named_parameters()}
    before = {name: weight.detach() for name, weight in began.named_parameters()}
    keep_share(trained, {}, 0.5)
    assert all(torch.equal(weight, ended[name]) for name, weight in trained.named_parameters())
    keep_share(trained, before, 0.25)
    for name, weight in trained.named_parameters():
        torch.testing.assert_close(weight.detach(), 0.75 * ended[name] + 0.25 * before[name])


def test_contrast_keeps_some_and_pre_training_none() -> None:
    assert contrast_stage(TINY, contrast_shares("pairs", ""), 5, 0).kept == CONTRAST_KEPT
    assert all(getattr(stage, "kept", 0.0) == 0.0 for stage in teacher(TINY).stages)


def test_a_share_that_makes_no_sense_is_refused() -> None:
    share = TaskShare(task="mlm", settings=mlm.Settings(token_budget=512))
    with pytest.raises(ConfigurationError, match="kept is 2, expected 0 to 1"):
        LearnTasks(stage="x", tasks=(share,), training=TrainingConfig(steps=1, learning_rate=1e-3), kept=2)
