"""Encoders of others as teachers, as they are: vectors, tokens and pooling are the original's."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from torch import Tensor
from transformers import AutoConfig, AutoModel, AutoTokenizer

from m5model.data.token_rows import pad_ids
from m5model.data.training_sets import open_training_set
from m5model.distillation.recipe import student
from m5model.encoders.automodel import WholeEncoder, open_whole, read_whole_geometry
from m5model.encoders.encoder import sentence_vectors
from m5model.encoders.huggingface import open_checkpoint
from m5model.encoders.kinds import load_encoder, save_encoder
from m5model.encoders.presets import TINY
from m5model.export.teacher import train_teacher
from m5model.runtime.rendering import DEFAULT_RENDERING
from m5model.tasks import mlm
from m5model.training.config import Machine
from m5model.training.recipes import from_weights
from m5model.training.starting import Source
from schemas.bundle import Origin
from schemas.errors import ConfigurationError, DamagedFileError
from schemas.workspace import Workspace
from tests.m5model.encoders.test_huggingface import _tokenizer

TEXTS = ["red cotton shirt", "hemd", "shirt red rot unknownword"]
SIZES = {"vocab_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "hidden_size": 16, "intermediate_size": 32}
# What the layout of students does not take: an epsilon of its own, rotary positions, gated layers, another norm.
MODELS = {
    "xlm-roberta": {"layer_norm_eps": 1e-2, "pad_token_id": 1, "max_position_embeddings": 40, "type_vocab_size": 1},
    "modernbert": {"pad_token_id": 0, "max_position_embeddings": 64, "local_attention": 8, "global_attn_every_n_layers": 2},
    "electra": {"pad_token_id": 0, "max_position_embeddings": 40, "embedding_size": 8},
}


def _write(folder: Path, kind: str, pooling: str = "") -> Path:
    folder.mkdir()
    torch.manual_seed(3)
    model = AutoModel.from_config(AutoConfig.for_model(kind, **SIZES, **MODELS[kind])).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    model.save_pretrained(folder)
    tokenizer, roles = _tokenizer(kind)
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps({**roles, "tokenizer_class": "PreTrainedTokenizerFast"}))
    if pooling:
        (folder / "1_Pooling").mkdir()
        (folder / "1_Pooling" / "config.json").write_text(json.dumps({f"pooling_mode_{pooling}_token": True}))
    return folder


def _original(folder: Path, texts: list[str], pooling: str = "mean") -> Tensor:
    """Vectors as the authors of the checkpoint would compute them, one text at a time."""
    model, tokenizer = AutoModel.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)
    with torch.no_grad():
        hidden = [model(**tokenizer(text, return_tensors="pt")).last_hidden_state[0] for text in texts]
    pooled = [states[0] if pooling == "cls" else states.mean(0) for states in hidden]
    return torch.nn.functional.normalize(torch.stack(pooled), dim=-1)


def _vectors(encoder, tokenizer: Tokenizer, texts: list[str]) -> Tensor:
    ids_BL, mask_BL = pad_ids([tokenizer.encode(text).ids for text in texts])
    with torch.no_grad():
        return sentence_vectors(encoder, torch.from_numpy(ids_BL), torch.from_numpy(mask_BL))


@pytest.mark.parametrize("kind", MODELS)
def test_a_teacher_taken_as_it_is_gives_the_originals_vectors(kind: str, tmp_path: Path) -> None:
    folder = _write(tmp_path / kind, kind)
    taken = open_whole(folder, read_whole_geometry(folder))
    assert torch.allclose(_vectors(taken.encoder, taken.tokenizer, TEXTS), _original(folder, TEXTS), atol=1e-5)
    assert "came" in taken.report.describe() and not taken.report.new


def test_students_still_refuse_what_does_not_fit_their_layout_and_are_told_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="--form whole"):
        open_checkpoint(_write(tmp_path / "a", "xlm-roberta"), "a")
    with pytest.raises(ConfigurationError, match="modernbert"):
        open_checkpoint(_write(tmp_path / "b", "modernbert"), "b")


@pytest.mark.parametrize("asked", ["", "cls"])
def test_pooling_is_what_the_checkpoint_says_or_what_is_asked_for(tmp_path: Path, asked: str) -> None:
    folder = _write(tmp_path / "a", "xlm-roberta", pooling="" if asked else "cls")
    taken = open_whole(folder, read_whole_geometry(folder, asked))
    assert torch.allclose(_vectors(taken.encoder, taken.tokenizer, TEXTS), _original(folder, TEXTS, "cls"), atol=1e-5)


def test_a_missing_weight_is_an_error_that_names_it_and_a_head_is_reported_as_unused(tmp_path: Path) -> None:
    folder = _write(tmp_path / "a", "modernbert")
    weights = load_file(folder / "model.safetensors")
    save_file({**weights, "head.dense.weight": torch.zeros(2)}, folder / "model.safetensors", metadata={"format": "pt"})
    assert open_whole(folder, read_whole_geometry(folder)).report.unused == ("head.dense.weight",)
    weights.pop("layers.0.mlp.Wi.weight")
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(DamagedFileError, match=r"missing layers\.0\.mlp\.Wi\.weight"):
        open_whole(folder, read_whole_geometry(folder))


def test_a_decoder_is_refused(tmp_path: Path) -> None:
    AutoConfig.for_model("t5", d_model=16, d_ff=16, num_layers=1, num_heads=2).save_pretrained(tmp_path)
    with pytest.raises(ConfigurationError, match="t5 has a decoder"):
        read_whole_geometry(tmp_path)


def test_what_is_hidden_and_guessed_are_the_originals_own_tokens(tmp_path: Path) -> None:
    folder = _write(tmp_path / "a", "xlm-roberta")
    taken = open_whole(folder, read_whole_geometry(folder))
    hiding = mlm.Hiding.of(taken.encoder, 0.9)
    ids_BL, mask_BL = pad_ids([taken.tokenizer.encode(text).ids for text in TEXTS * 40])
    masked = mlm.mask_tokens(ids_BL, mask_BL, hiding, np.random.default_rng(0))
    assert hiding.mask_id == taken.tokenizer.token_to_id("<mask>") != 4
    hidden = {taken.tokenizer.id_to_token(int(token)) for token in masked.targets_M}
    assert hidden and not any(token.startswith("<") and token != "<unk>" for token in hidden)
    assert not masked.chosen_BL[mask_BL == 0].any()


@pytest.mark.parametrize("kind", ["xlm-roberta", "modernbert"])
def test_a_bundle_of_it_is_that_checkpoint_again(kind: str, tmp_path: Path) -> None:
    folder = _write(tmp_path / "a", kind, pooling="cls")
    preset = read_whole_geometry(folder)
    taken = open_whole(folder, preset)
    (tmp_path / "b").mkdir()
    save_encoder(tmp_path / "b", taken.encoder, preset.max_tokens)
    (tmp_path / "b" / "tokenizer.json").write_text(taken.tokenizer.to_str())
    (tmp_path / "b" / "tokenizer_config.json").write_text(json.dumps(dict(taken.encoder.control_tokens)))
    again = load_encoder(tmp_path / "b")
    assert isinstance(again, WholeEncoder) and again.pooling == "cls"
    assert torch.equal(_vectors(again, taken.tokenizer, TEXTS), _vectors(taken.encoder, taken.tokenizer, TEXTS))


def test_a_teacher_is_trained_from_it_and_its_bundle_opens_in_plain_transformers(tmp_path: Path, write_training_set) -> None:
    """From --init to the bundle: tokens, names of control tokens and pooling are still the original's."""
    workspace = Workspace(str(tmp_path / "w"))
    training_set = open_training_set(str(write_training_set(workspace)), DEFAULT_RENDERING)
    folder = _write(tmp_path / "a", "xlm-roberta", pooling="cls")
    origin = Origin(name="a", licence="not stated", sha256="0" * 64)
    preset = read_whole_geometry(folder)
    recipe = from_weights(preset, origin, form="whole")
    source = Source(folder=folder, origin=origin, rendering=DEFAULT_RENDERING)
    manifest = train_teacher(workspace, training_set, recipe, Machine(threads=1), source)
    bundle = Path(workspace.bundle(manifest.id))
    assert (manifest.pooling, manifest.preset, manifest.max_tokens) == ("cls", "xlm-roberta-2x16", 38)
    assert torch.allclose(_original(bundle, TEXTS, "cls"), _original(folder, TEXTS, "cls"), atol=1e-6)
    vocabulary, *_ = student(replace(TINY, vocabulary_size=preset.vocabulary_size), (manifest,)).stages
    assert type(vocabulary).__name__ == "LearnVocabulary"  # its token ids are not those of students
