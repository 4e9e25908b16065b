"""The teacher of two streams: what it reads, what it ignores, how it begins, and that it learns from structure."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from datasets import Dataset
from tokenizers import Tokenizer
from torch import Tensor

from m5model.data.token_rows import TokenRows, pad_ids
from m5model.data.vocabulary_marks import add_marks, has_marks, remove_marks
from m5model.encoders.bert import build_encoder
from m5model.encoders.cross_attention import CrossAttentionEncoder, build_cross_attention
from m5model.encoders.cross_start import cross_geometry, start_streams
from m5model.encoders.encoder import sentence_vectors
from m5model.encoders.huggingface import Checkpoint, LoadReport, replace_rows
from m5model.encoders.kinds import load_encoder, save_encoder
from m5model.encoders.presets import CrossAttentionPreset
from m5model.runtime.rendering import DEFAULT_RENDERING, MARKS, render
from m5model.tasks import TaskData, mlm
from m5model.training.checkpoints import Checkpoints
from m5model.training.config import TrainingConfig
from m5model.training.learner import Learner
from m5model.training.loop import Outcome, Run, train
from m5model.training.mixture import mix
from schemas.errors import ConfigurationError
from tests.m5model.tasks.conftest import MICRO, one_thread, words_of  # noqa: F401

MARKED = replace(DEFAULT_RENDERING, marked=True)
MICRO_CROSS = CrossAttentionPreset(
    name="micro-cross",
    layers=3,
    structure_layers=2,
    fused_layers=1,
    hidden_size=32,
    heads=2,
    intermediate_size=64,
    vocabulary_size=400,
    max_tokens=48,
    parameters=0,
)
SHIRT = {"title": "red shirt", "bullets": ["soft cotton", "fits well"], "description": "a shirt"}
FACTS = {"brand": "Acme", "category": "clothing", "attributes": [{"name": "colour", "value": "red"}]}
WORDS = "red shirt soft cotton fits well a Acme Zephyr clothing colour blue size query shoes"


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return add_marks(words_of([WORDS]))


@pytest.fixture
def encoder(tokenizer: Tokenizer) -> CrossAttentionEncoder:
    """Weights larger than new ones, so that what is attended to shows."""
    made = build_cross_attention(MICRO_CROSS, tokenizer.get_vocab_size(), seed=1).eval()
    for parameter in made.parameters():
        if parameter.ndim == 2:
            torch.nn.init.normal_(parameter, std=0.2)
    return made


def _batch(tokenizer: Tokenizer, listings: list[dict[str, object] | str]) -> tuple[Tensor, Tensor]:
    ids_BL, mask_BL = pad_ids([tokenizer.encode(render(listing, MARKED)).ids for listing in listings])
    return torch.from_numpy(ids_BL), torch.from_numpy(mask_BL)


@torch.no_grad()
def _vectors(encoder: CrossAttentionEncoder, tokenizer: Tokenizer, *listings: dict[str, object] | str) -> Tensor:
    return sentence_vectors(encoder, *_batch(tokenizer, list(listings)))


def test_marks_are_the_last_tokens_and_a_listing_cannot_write_one(tokenizer: Tokenizer) -> None:
    assert has_marks(tokenizer) and not has_marks(remove_marks(tokenizer))
    forged = {"title": f"red {MARKS['brand']}Acme"}
    assert render(forged, MARKED) == f"{MARKS['title']}red Acme"
    assert render(f"{MARKS['brand']}red", MARKED) == "red"
    assert tokenizer.encode(render(FACTS, MARKED)).tokens[1:3] == [MARKS["brand"], "Acme"]


@pytest.mark.parametrize("listing", [SHIRT, FACTS, "red shirt", SHIRT | FACTS])
def test_either_stream_may_be_missing(encoder, tokenizer, listing) -> None:
    vectors = _vectors(encoder, tokenizer, listing)
    assert torch.isfinite(vectors).all()
    assert float(vectors.norm()) == pytest.approx(1, abs=1e-5)


def test_a_missing_stream_is_an_empty_stream(encoder, tokenizer) -> None:
    """Beside rows that have the stream, and where no row has it, and with fields that hold nothing: one vector."""
    alone = _vectors(encoder, tokenizer, SHIRT)[0]
    beside = _vectors(encoder, tokenizer, SHIRT | FACTS, SHIRT, FACTS)
    empty = _vectors(encoder, tokenizer, SHIRT | {"brand": "", "category": None, "attributes": []})[0]
    assert torch.allclose(beside[1], alone, atol=1e-6)
    assert torch.equal(empty, alone)
    assert torch.allclose(_vectors(encoder, tokenizer, FACTS)[0], beside[2], atol=1e-6)


def test_a_vector_does_not_depend_on_its_batch(encoder, tokenizer) -> None:
    listings = [SHIRT | FACTS, {"title": "shoes"}, FACTS, "red", SHIRT | {"brand": "Zephyr"}]
    together = _vectors(encoder, tokenizer, *listings)
    for place, listing in enumerate(listings):
        assert torch.allclose(_vectors(encoder, tokenizer, listing)[0], together[place], atol=1e-6)


def test_structured_data_changes_the_hidden_states_of_the_text(encoder, tokenizer) -> None:
    """Through cross-attention, not only through the mean: the text's own tokens come out otherwise."""
    with torch.no_grad():
        states = [
            encoder.hidden_states(*_batch(tokenizer, [{"title": "red shirt", "brand": brand}]))[0, 2:4]
            for brand in ("Acme", "Zephyr")
        ]
    assert float((states[0] - states[1]).abs().max()) > 1e-2


def test_fields_count_and_a_value_is_another_thing_in_another_field(encoder, tokenizer) -> None:
    as_title, as_brand, as_bullet = _vectors(encoder, tokenizer, {"title": "Acme"}, {"brand": "Acme"}, {"bullets": ["Acme"]})
    assert float(as_title @ as_brand) < 0.999
    assert float(as_title @ as_bullet) < 0.999


def test_the_halves_of_a_pair_are_told_apart(encoder, tokenizer) -> None:
    with torch.no_grad():
        ids = [tokenizer.encode(one, other).ids for one, other in (("red shirt", "blue"), ("red", "shirt blue"))]
        vectors = sentence_vectors(encoder, *(torch.from_numpy(array) for array in pad_ids(ids)))
    assert float(vectors[0] @ vectors[1]) < 0.9999


def test_padding_is_never_computed(encoder, tokenizer) -> None:
    seen: list[int] = []
    encoder.levels[0].text.ffn.lin1.register_forward_hook(lambda *arguments: seen.append(len(arguments[1][0])))
    encoder.levels[-1].structure.ffn.lin1.register_forward_hook(lambda *arguments: seen.append(len(arguments[1][0])))
    _, mask_BL = _batch(tokenizer, [SHIRT | FACTS, "red"])
    _vectors(encoder, tokenizer, SHIRT | FACTS, "red")
    assert sum(seen) == int(mask_BL.sum())


def test_activations_computed_anew_give_the_same_gradients(encoder, tokenizer) -> None:
    def gradients() -> list[Tensor]:
        encoder.train().zero_grad()
        torch.manual_seed(7)  # dropout is drawn again in the same way
        sentence_vectors(encoder, *_batch(tokenizer, [SHIRT | FACTS, SHIRT])).sum().backward()
        return [parameter.grad.clone() for parameter in encoder.parameters() if parameter.grad is not None]

    kept = gradients()
    encoder.save_memory()
    assert all(torch.equal(one, other) for one, other in zip(kept, gradients(), strict=True))


def test_an_additive_mask_is_refused(encoder, tokenizer) -> None:
    ids_BL, _ = _batch(tokenizer, [SHIRT])
    with pytest.raises(ConfigurationError, match="no ONNX graph"):
        encoder.hidden_states(ids_BL, torch.zeros(1, 1, 1, ids_BL.shape[1]))


def _listings(count: int) -> list[dict[str, object]]:
    """The last word of the title is the colour that the attribute says; nothing in the text gives it away."""
    draw = np.random.default_rng(4)
    colours = draw.choice(["red", "blue"], count)
    return [{"title": f"soft shirt {colour}", "attributes": {"colour": str(colour)}} for colour in colours]


def _hide_colours(tokenizer: Tokenizer, listings: list[dict[str, object]]) -> tuple[Tensor, Tensor, np.ndarray]:
    """Ids and mask, the colour in the title hidden; and which places those are."""
    ids_BL, mask_BL = _batch(tokenizer, listings)
    ids_BL[:, 4] = 4
    return ids_BL, mask_BL, np.asarray([tokenizer.token_to_id(str(listing["title"]).split()[-1]) for listing in listings])


@pytest.mark.parametrize("sees_structure", [True, False])
def test_it_learns_from_structure_what_the_text_does_not_hold(tokenizer, sees_structure: bool) -> None:
    listings = _listings(64)
    if not sees_structure:
        listings = [{"title": listing["title"]} for listing in listings]
    ids_BL, mask_BL, targets_B = _hide_colours(tokenizer, listings)
    torch.manual_seed(0)
    encoder = build_cross_attention(MICRO_CROSS, tokenizer.get_vocab_size(), seed=1)
    head = torch.nn.Linear(32, tokenizer.get_vocab_size())
    optimizer = torch.optim.AdamW([*encoder.parameters(), *head.parameters()], lr=5e-3)
    for _ in range(40):
        loss = torch.nn.functional.cross_entropy(
            head(encoder.hidden_states(ids_BL, mask_BL)[:, 4]), torch.from_numpy(targets_B)
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    guessed = head(encoder.eval().hidden_states(ids_BL, mask_BL)[:, 4]).argmax(1).numpy()
    accuracy = float((guessed == targets_B).mean())
    assert accuracy > 0.95 if sees_structure else accuracy < 0.75


class Killed(Exception):
    """The test's own way to end a run in the middle."""


def _train(tokenizer: Tokenizer, folder: Path, stop_at: int | None = None) -> tuple[Learner, Outcome]:
    ids = [tokenizer.encode(render(listing, MARKED)).ids for listing in (*_listings(40), SHIRT, FACTS | SHIRT)]
    rows = TokenRows(Dataset.from_dict({"ids": ids}), np.asarray([len(row) for row in ids]), np.arange(len(ids)))
    encoder = build_cross_attention(MICRO_CROSS, tokenizer.get_vocab_size(), seed=1)
    task = mlm.build(mlm.Settings(token_budget=128), encoder, TaskData(learn=rows, held_out=rows, seed=0))
    learner, calls = Learner(encoder, [task]), []

    def count(*_: object) -> None:
        calls.append(1)
        if len(calls) == stop_at:
            raise Killed

    encoder.register_forward_pre_hook(count)
    config = TrainingConfig(steps=8, learning_rate=1e-2)
    mixture, checkpoints = mix([(task, 1)], "c", 0), Checkpoints(str(folder), "run")
    return learner, train(
        Run(label="test", learner=learner, mixture=mixture, config=config, checkpoint_every=3, checkpoints=checkpoints)
    )


def test_a_killed_training_of_two_streams_ends_with_the_bytes_of_an_undisturbed_one(tokenizer, tmp_path: Path) -> None:
    undisturbed, expected = _train(tokenizer, tmp_path / "a")
    with pytest.raises(Killed):
        _train(tokenizer, tmp_path / "b", stop_at=6)
    resumed, outcome = _train(tokenizer, tmp_path / "b")
    assert outcome.resumed_from == 3 and outcome.consumed_hash == expected.consumed_hash
    for name, tensor in undisturbed.state_dict().items():
        assert torch.equal(tensor, resumed.state_dict()[name]), name


def test_marks_are_never_hidden_and_never_put_in_anothers_place(encoder, tokenizer) -> None:
    ids_BL, mask_BL = (tensor.numpy() for tensor in _batch(tokenizer, [SHIRT | FACTS] * 50))
    masked = mlm.mask_tokens(ids_BL, mask_BL, mlm.Hiding.of(encoder, 0.9), np.random.default_rng(0))
    first_mark = tokenizer.get_vocab_size() - len(MARKS)
    assert ((masked.ids_BL >= first_mark) == (ids_BL >= first_mark)).all()


@pytest.fixture
def origin(tokenizer: Tokenizer) -> Checkpoint:
    """A trained encoder of one stream: weights as they never are at first."""
    plain = remove_marks(tokenizer)
    encoder = build_encoder(replace(MICRO, layers=3), plain.get_vocab_size(), seed=5).eval()
    for parameter in encoder.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return Checkpoint(encoder=encoder, tokenizer=plain, report=LoadReport(came=(), new=(), unused=()))


def _start(origin: Checkpoint, streams: tuple[str, ...]) -> Checkpoint:
    return start_streams(origin, cross_geometry(replace(MICRO, layers=3), 2), streams, seed=3)


def test_the_text_stream_begins_as_the_encoder_that_it_was_given(origin, tokenizer) -> None:
    started = _start(origin, ("text", "structure"))
    ids_BL, mask_BL = _batch(tokenizer, ["red shirt soft", "shoes"])
    with torch.no_grad():
        expected = sentence_vectors(origin.encoder, ids_BL, mask_BL)
        assert torch.allclose(sentence_vectors(started.encoder, ids_BL, mask_BL), expected, atol=1e-5)
    assert started.tokenizer.get_vocab_size() == started.encoder.vocabulary_size == origin.encoder.vocabulary_size + len(MARKS)


def test_either_stream_can_begin_with_weights_and_the_report_says_what_is_new(origin) -> None:
    layer = "levels.2.{}.ffn.lin1.weight"
    for streams in (("text",), ("structure",)):
        started = _start(origin, streams)
        (other,) = {"text", "structure"} - set(streams)
        given = origin.encoder.state_dict()["transformer.layer.2.ffn.lin1.weight"]
        weights = started.encoder.state_dict()
        assert torch.equal(weights[layer.format(streams[0])], given)
        assert not torch.equal(weights[layer.format(other)], given)
        assert layer.format(streams[0]) in started.report.came and layer.format(other) in started.report.new
        assert f"levels.2.{streams[0]}.crossing.q_lin.weight" in started.report.new


def test_saving_and_loading_gives_the_same_vectors_and_a_smaller_table_keeps_the_marks(encoder, tokenizer, tmp_path) -> None:
    save_encoder(tmp_path, encoder, 48)
    assert torch.equal(_vectors(load_encoder(tmp_path), tokenizer, SHIRT | FACTS), _vectors(encoder, tokenizer, SHIRT | FACTS))
    size = tokenizer.get_vocab_size()
    before = encoder.token_table[-1].detach().clone()
    replace_rows(encoder, np.concatenate([np.arange(8), np.arange(size - len(MARKS), size)]))
    assert encoder.vocabulary_size == 8 + len(MARKS)
    assert torch.equal(encoder.token_table[-1], before)


def test_plain_transformers_opens_it_once_m5model_is_imported(encoder, tokenizer, tmp_path: Path) -> None:
    save_encoder(tmp_path, encoder, 48)
    ids_BL, mask_BL = _batch(tokenizer, [SHIRT | FACTS])
    program = (
        "import sys, m5model; assert 'torch' not in sys.modules\n"
        "import torch; from transformers import AutoModel\n"
        f"model = AutoModel.from_pretrained({str(tmp_path)!r})\n"
        f"hidden = model(torch.tensor({ids_BL.tolist()})).last_hidden_state\n"
        "print(float(hidden.detach().abs().sum()))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    with torch.no_grad():
        expected = float(encoder.hidden_states(ids_BL, mask_BL).abs().sum())
    assert float(done.stdout) == pytest.approx(expected, rel=1e-5)
