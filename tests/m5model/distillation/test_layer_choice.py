"""Layers to take of an encoder are those that are missed least."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from datasets import Dataset

from m5model.data.token_rows import TokenRows, tokenize_rows
from m5model.data.vocabulary import train_vocabulary
from m5model.distillation.layer_choice import Opened, choose_layers, drop_layers
from m5model.encoders.bert import BertEncoder, build_encoder, only_layers
from m5model.encoders.presets import TINY

VOCABULARY = 300
WORDS = ("lamp", "brass", "chair", "oak", "red", "blue", "cotton", "shirt", "160", "cm")


@pytest.fixture(scope="module")
def opened() -> Opened:
    """Five layers, of which those numbered 1 and 2 do next to nothing."""
    draw = np.random.default_rng(0)
    texts = [" ".join(draw.choice(WORDS, 6)) for _ in range(40)]
    rows = Dataset.from_dict({"text": texts, "key": np.arange(40)})
    encoder: BertEncoder = build_encoder(replace(TINY, layers=5), VOCABULARY)
    with torch.no_grad():
        for number, layer in enumerate(encoder.transformer.layer):
            for linear in (layer.attention.out_lin, layer.ffn.lin2):
                linear.weight *= 1e-3 if number in (1, 2) else 20
    return Opened(encoder=encoder.eval(), rows=_tokens(rows, texts))


def _tokens(rows: Dataset, texts: list[str]) -> TokenRows:
    return tokenize_rows(rows, train_vocabulary(texts, VOCABULARY), 64)


def test_what_does_nothing_goes_first_and_the_last_layer_stays(opened) -> None:
    found = drop_layers(opened.encoder, opened.rows, 5, 1)
    assert found[3] == (0, 3, 4)
    assert found[1] == (4,)
    assert sorted(found) == [1, 2, 3, 4]
    assert len(opened.encoder.transformer.layer) == 5  # it is whole again


def test_an_encoder_is_whole_again_also_after_an_error(opened) -> None:
    with pytest.raises(KeyError), only_layers(opened.encoder, (0,)):
        assert (len(opened.encoder.blocks), opened.encoder.config.n_layers) == (1, 1)
        raise KeyError
    assert (len(opened.encoder.blocks), opened.encoder.config.n_layers) == (5, 5)


def test_a_run_started_again_takes_the_same_and_looks_only_for_what_is_missing(opened, tmp_path) -> None:
    looked = []

    def look() -> Opened:
        looked.append(1)
        return opened

    path = str(tmp_path / "layers.json")
    first = choose_layers(look, 5, {3, 5}, path)
    assert first == {3: (0, 3, 4), 5: ()}
    assert choose_layers(look, 5, {4, 3}, path)[3] == (0, 3, 4)
    assert len(looked) == 1  # four layers were found on the way to three
    assert len(choose_layers(look, 5, {2}, path)[2]) == 2
    assert len(looked) == 2
