from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from torch import nn

from m5model.data.randomness import generator_for
from m5model.data.token_rows import pad_ids
from m5model.data.vocabulary import MASK_ID
from m5model.encoders.bert import build_encoder
from m5model.encoders.presets import TINY
from m5model.tasks import mlm
from m5model.tasks.mlm import Hiding, mask_tokens
from m5model.training.config import Machine, TrainingConfig
from m5model.training.learner import Learner
from m5model.training.order import BatchOrder
from m5model.training.schedule import build_optimizer, learning_rate_at, set_learning_rate
from schemas.errors import ConfigurationError

HIDING = Hiding(share=0.15, mask_id=MASK_ID, guessable=np.arange(5, 1_000), is_guessable_V=np.arange(1_000) >= 5)
LENGTHS = np.random.default_rng(5).integers(3, 60, 500)


def _order(seed: int = 0, content_hash: str = "abc", **size: int) -> BatchOrder:
    return BatchOrder(LENGTHS, content_hash=content_hash, seed=seed, **(size or {"token_budget": 256}))


def test_every_row_comes_once_in_an_epoch_and_no_batch_exceeds_its_budget() -> None:
    order, seen, step = _order(), [], 0
    while len(seen) < len(LENGTHS):
        rows = order.rows(step)
        assert len(rows) * LENGTHS[rows].max() <= 256
        seen.extend(rows.tolist())
        step += 1
    assert sorted(seen) == list(range(len(LENGTHS)))


def test_the_rows_of_a_step_are_the_same_whatever_was_asked_before() -> None:
    straight = [_order().rows(step).tolist() for step in (0, 150, 40)]
    one = _order()
    assert [one.rows(step).tolist() for step in (0, 150, 40)] == straight


def test_another_seed_or_another_set_gives_another_order() -> None:
    assert _order().rows(0).tolist() != _order(seed=1).rows(0).tolist()
    assert _order().rows(0).tolist() != _order(content_hash="abd").rows(0).tolist()


def test_batches_of_fixed_rows_hold_that_many_and_mix_lengths() -> None:
    rows = _order(batch_rows=64).rows(3)
    assert len(set(rows.tolist())) == 64
    assert LENGTHS[rows].max() - LENGTHS[rows].min() > 30


def test_padding_is_zero_and_outside_the_mask() -> None:
    ids_BL, mask_BL = pad_ids([[2, 9, 3], [2, 3]])
    assert ids_BL.tolist() == [[2, 9, 3], [2, 3, 0]]
    assert mask_BL.tolist() == [[1, 1, 1], [1, 1, 0]]


def test_fifteen_percent_are_chosen_and_of_these_80_10_10() -> None:
    ids_BL = np.full((400, 100), 50)
    masked = mask_tokens(ids_BL, np.ones_like(ids_BL), HIDING, generator_for("test"))
    chosen = masked.ids_BL[masked.chosen_BL]
    assert masked.chosen_BL.mean() == pytest.approx(0.15, abs=0.01)
    assert (chosen == MASK_ID).mean() == pytest.approx(0.8, abs=0.02)
    assert (chosen == 50).mean() == pytest.approx(0.1, abs=0.02)
    assert (masked.ids_BL[~masked.chosen_BL] == 50).all()


def test_special_tokens_and_padding_are_never_chosen_and_one_other_always_is() -> None:
    ids_BL = np.asarray([[2, 77, 3, 0, 0]])
    masked = mask_tokens(ids_BL, np.ones_like(ids_BL), replace(HIDING, share=1e-9), generator_for("test"))
    assert masked.chosen_BL.tolist() == [[False, True, False, False, False]]


def test_masks_are_a_function_of_seed_and_step() -> None:
    ids_BL = np.full((4, 50), 50)

    def chosen(step: int) -> list[list[bool]]:
        return mask_tokens(ids_BL, np.ones_like(ids_BL), HIDING, generator_for("mask", 7, step)).chosen_BL.tolist()

    assert chosen(3) == chosen(3) != chosen(4)


def test_the_learning_rate_rises_to_its_peak_and_falls_to_zero() -> None:
    config = TrainingConfig(steps=100, learning_rate=1e-3, warmup_share=0.1)
    rates = [learning_rate_at(step, config) for step in range(101)]
    assert rates[0] == pytest.approx(1e-4)
    assert max(rates) == rates[9] == rates[10] == pytest.approx(1e-3)
    assert rates[100] == 0


def test_what_must_be_guessed_is_what_was_there() -> None:
    ids_BL = np.arange(5, 105).reshape(4, 25)
    masked = mask_tokens(ids_BL, np.ones_like(ids_BL), HIDING, generator_for("test"))
    assert masked.targets_M.tolist() == ids_BL[masked.chosen_BL].tolist()
    assert masked.tokens == 100


@pytest.mark.parametrize(
    ("settings", "problems"),
    [
        (lambda: TrainingConfig(steps=-1, learning_rate=float("nan")), ["steps is -1", "learning_rate is nan"]),
        (
            lambda: TrainingConfig(steps=1, learning_rate=0.1, weight_decay=2, clip_norm=0),
            ["weight_decay is 2", "clip_norm is 0"],
        ),
        (lambda: Machine(device="tpu", threads=-2, checkpoint_every=0), ["'tpu'", "threads is -2", "checkpoint_every is 0"]),
        (lambda: mlm.Settings(token_budget=1, mask_share=1), ["token_budget is 1", "mask_share is 1"]),
    ],
)
def test_all_wrong_settings_are_named_at_once(settings, problems: list[str]) -> None:
    with pytest.raises(ConfigurationError) as error:
        settings()
    for problem in problems:
        assert problem in str(error.value)


def _rates(head_rate: float, encoder: nn.Module, head: nn.Module) -> dict[int, tuple[float, float]]:
    """Parameter → its learning rate and weight decay, half way through a warm-up of the rate 0.002."""
    learner = Learner(encoder, [SimpleNamespace(name="brand", head=head)])
    optimizer = build_optimizer(learner, TrainingConfig(steps=10, learning_rate=0.002, head_rate=head_rate))
    set_learning_rate(optimizer, 0.001)
    return {
        id(parameter): (group["lr"], group["weight_decay"]) for group in optimizer.param_groups for parameter in group["params"]
    }


def test_heads_may_learn_faster_than_the_encoder_and_every_weight_learns_once() -> None:
    encoder, head = build_encoder(TINY, 64), nn.Linear(4, 3)
    encoder.blocks[0].requires_grad_(False)
    rates = _rates(10.0, encoder, head)
    learned = [one for one in (*encoder.parameters(), *head.parameters()) if one.requires_grad]
    assert rates.keys() == {id(one) for one in learned}
    assert rates[id(head.weight)] == (0.01, 0.01)
    assert rates[id(head.bias)] == (0.01, 0.0)
    of_encoder = {rates[id(one)][0] for one in encoder.parameters() if one.requires_grad}
    assert of_encoder == {0.001}
    assert {rate for rate, _ in _rates(1.0, encoder, head).values()} == {0.001}


@pytest.mark.parametrize("rate", [0, -1, float("nan"), float("inf"), 1_001, True])
def test_a_rate_of_heads_is_a_number_above_zero(rate: float) -> None:
    with pytest.raises(ConfigurationError, match="head_rate"):
        TrainingConfig(steps=1, learning_rate=0.1, head_rate=rate)
