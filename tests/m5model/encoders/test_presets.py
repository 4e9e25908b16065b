from dataclasses import replace

import pytest
import torch

from m5model.encoders.encoder import count_parameters
from m5model.encoders.kinds import build_encoder
from m5model.encoders.presets import PRESETS, TINY, TINY_CROSS, EncoderPreset, get_preset
from schemas.errors import ConfigurationError

EXACT = {
    "tiny": 1_461_760,
    "mini": 19_484_928,
    "student-70m": 67_723_776,
    "tiny-cross": 1_810_048,
    "small-cross": 25_502_208,
    "teacher-500m": 513_542_144,
    "xl-1.5b": 1_530_347_520,
}


@pytest.mark.parametrize("preset", PRESETS.values(), ids=lambda preset: preset.name)
def test_a_preset_has_exactly_the_parameters_that_it_declares(preset: EncoderPreset) -> None:
    with torch.device("meta"):
        encoder = build_encoder(preset)
    assert count_parameters(encoder) == preset.parameters == EXACT[preset.name]


def test_every_preset_is_held_by_a_count() -> None:
    assert set(PRESETS) == set(EXACT)


@pytest.mark.parametrize(("name", "millions"), [("student-70m", 67.8), ("teacher-500m", 513), ("xl-1.5b", 1_530)])
def test_the_published_sizes_are_met_within_a_hundredth(name: str, millions: float) -> None:
    assert get_preset(name).parameters / 1e6 == pytest.approx(millions, rel=0.01)


def test_streams_that_have_more_layers_than_there_are_levels_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="layers 2, structure_layers 1, fused_layers 2"):
        replace(TINY_CROSS, fused_layers=2)


def test_an_unknown_preset_is_refused_with_the_names_of_the_known_ones() -> None:
    with pytest.raises(ConfigurationError, match="teacher-500m"):
        get_preset("huge")


def test_a_size_that_no_encoder_can_have_is_refused_with_every_problem() -> None:
    with pytest.raises(ConfigurationError, match=r"layers is 0.*max_tokens is -1"):
        replace(TINY, layers=0, max_tokens=-1)
    with pytest.raises(ConfigurationError, match="hidden_size is 128 and heads is 5"):
        replace(TINY, heads=5)
