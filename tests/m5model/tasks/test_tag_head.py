"""The head over tokens reads what differs between their states."""

import numpy as np
import pytest
import torch

from m5model.encoders.bert import build_encoder
from m5model.encoders.presets import TINY
from m5model.tasks._tag_head import TagHead


@pytest.fixture(scope="module")
def texts() -> tuple[np.ndarray, np.ndarray]:
    ids_BL = np.random.default_rng(0).integers(5, 200, (12, 9))
    mask_BL = np.ones_like(ids_BL)
    mask_BL[3:, 5:] = 0
    return ids_BL, mask_BL


def test_what_all_tokens_have_in_common_is_taken_off_and_channels_count_alike(texts) -> None:
    encoder = build_encoder(TINY, 256).train()
    head = TagHead.new(encoder, 5, *texts)
    assert encoder.training
    ids_BL, mask_BL = (torch.from_numpy(array) for array in texts)
    with torch.no_grad():
        states_ND = encoder.eval().hidden_states(ids_BL, mask_BL)[mask_BL.bool()]
        seen_ND = (states_ND - head.center_D) / head.deviation_D
    assert seen_ND.mean(0).abs().max() < 1e-4
    assert seen_ND.std(0, correction=0).numpy() == pytest.approx(1, abs=1e-3)


def test_the_folded_weights_give_the_same_logits_of_plain_states(texts) -> None:
    head = TagHead.new(build_encoder(TINY, 256), 5, *texts)
    states_BLD = torch.randn(2, 3, TINY.hidden_size)
    weight_TD, bias_T = head.folded()
    assert weight_TD.dtype == bias_T.dtype == np.float32
    expected = head(states_BLD).detach().numpy()
    assert states_BLD.numpy() @ weight_TD.T + bias_T == pytest.approx(expected, abs=1e-3)


def test_a_kept_head_reads_as_it_did(texts) -> None:
    head, other = TagHead.new(build_encoder(TINY, 256), 5, *texts), TagHead(TINY.hidden_size, 5)
    other.load_state_dict(head.state_dict())
    states_BLD = torch.randn(2, 3, TINY.hidden_size)
    assert torch.equal(head(states_BLD), other(states_BLD))
