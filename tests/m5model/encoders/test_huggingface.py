"""Checkpoints of others become our encoders, exactly or not at all."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import AutoConfig, AutoModel

from m5model.encoders.encoder import pool, sentence_vectors
from m5model.encoders.huggingface import open_checkpoint, read_geometry, replace_rows
from m5model.encoders.sources import find_source, read_origin
from schemas.errors import ConfigurationError, DamagedFileError

WORDS = ["red", "cotton", "shirt", "rot", "hemd", "赤", "##s"]
TEXTS = ["red cotton shirts", "hemd rot", "赤 shirt unknownword"]
SIZES = {"vocab_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2, "max_position_embeddings": 40}
FAMILIES = {
    "bert": {"hidden_size": 16, "intermediate_size": 32, "pad_token_id": 0},
    "xlm-roberta": {
        "hidden_size": 16,
        "intermediate_size": 32,
        "pad_token_id": 1,
        "layer_norm_eps": 1e-12,
        "type_vocab_size": 1,
    },
    "roberta": {"hidden_size": 16, "intermediate_size": 32, "pad_token_id": 1, "layer_norm_eps": 1e-12, "type_vocab_size": 1},
    "distilbert": {"dim": 16, "hidden_dim": 32, "pad_token_id": 0},
}


def _tokenizer(family: str) -> tuple[Tokenizer, dict[str, str]]:
    """A WordPiece tokenizer with the control tokens of the family, in its places."""
    controls = (
        ["<s>", "<pad>", "</s>", "<unk>", "<mask>"] if "roberta" in family else ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    )
    names = dict(
        zip(
            ("cls", "pad", "sep", "unk", "mask") if "roberta" in family else ("pad", "unk", "cls", "sep", "mask"),
            controls,
            strict=True,
        )
    )
    # The mask comes last, and a token that no role names comes before it.
    tokens = [*controls[:4], *WORDS, "[unused]", controls[4]]
    tokenizer = Tokenizer(models.WordPiece({token: place for place, token in enumerate(tokens)}, unk_token=names["unk"]))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.add_special_tokens(controls)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{names['cls']} $A {names['sep']}",
        special_tokens=[(names["cls"], tokens.index(names["cls"])), (names["sep"], tokens.index(names["sep"]))],
    )
    return tokenizer, {f"{role}_token": name for role, name in names.items()}


def _write(folder: Path, family: str, prefix: str = "", **settings: object) -> Path:
    """A checkpoint of random weights, as its authors would have saved it."""
    folder.mkdir()
    torch.manual_seed(3)
    names = {"num_hidden_layers": "n_layers", "num_attention_heads": "n_heads"} if family == "distilbert" else {}
    sizes = {names.get(name, name): value for name, value in SIZES.items()}
    config = AutoConfig.for_model(family, **{**sizes, **FAMILIES[family], **settings})
    model = AutoModel.from_config(config)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    config.save_pretrained(folder)
    weights = {f"{prefix}{name}": tensor.contiguous() for name, tensor in model.state_dict().items()}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    tokenizer, roles = _tokenizer(family)
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps(roles))
    return folder


def _original_vectors(folder: Path, texts: list[str]) -> np.ndarray:
    model, tokenizer = AutoModel.from_pretrained(folder).eval(), Tokenizer.from_file(str(folder / "tokenizer.json"))
    vectors = []
    for text in texts:
        ids_BL = torch.tensor([tokenizer.encode(text).ids])
        with torch.no_grad():
            vectors.append(pool(model(input_ids=ids_BL).last_hidden_state, torch.ones_like(ids_BL)))
    return torch.cat(vectors).numpy()


def _vectors(checkpoint, texts: list[str]) -> np.ndarray:
    vectors = []
    for text in texts:
        ids_BL = torch.tensor([checkpoint.tokenizer.encode(text).ids])
        with torch.no_grad():
            vectors.append(sentence_vectors(checkpoint.encoder, ids_BL, torch.ones_like(ids_BL)))
    return torch.cat(vectors).numpy()


@pytest.mark.parametrize("family", FAMILIES)
def test_a_converted_checkpoint_gives_the_vectors_of_the_original(family: str, tmp_path: Path) -> None:
    folder = _write(tmp_path / family, family)
    taken = open_checkpoint(folder, family)
    assert np.abs(_vectors(taken, TEXTS) - _original_vectors(folder, TEXTS)).max() <= 1e-5
    assert taken.tokenizer.encode("red").tokens == ["[CLS]", "red", "[SEP]"]
    assert [taken.tokenizer.token_to_id(name) for name in ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")] == [0, 1, 2, 3, 4]
    assert taken.report.difference <= 1e-5
    assert taken.encoder.max_tokens == read_geometry(folder).max_tokens == (38 if "roberta" in family else 40)


def test_weights_of_a_model_with_a_head_come_whole_and_its_head_is_reported(tmp_path: Path) -> None:
    folder = _write(tmp_path / "mlm", "bert", prefix="bert.")
    weights = load_file(folder / "model.safetensors") | {"cls.predictions.bias": torch.zeros(16)}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    taken = open_checkpoint(folder, "mlm")
    assert "cls.predictions.bias" in taken.report.unused
    assert np.abs(_vectors(taken, TEXTS) - _original_vectors(folder, TEXTS)).max() <= 1e-5


@pytest.mark.parametrize("change", ["missing", "misshapen", "renamed"])
def test_an_encoder_that_does_not_come_whole_is_refused_by_name(change: str, tmp_path: Path) -> None:
    folder = _write(tmp_path / "half", "bert")
    weights = load_file(folder / "model.safetensors")
    name = "encoder.layer.1.output.dense.weight"
    weight = weights.pop(name)
    if change == "misshapen":
        weights[name] = weight[:-1].contiguous()
    if change == "renamed":
        weights["wrapper." + name] = weight
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(DamagedFileError, match=r"encoder\.layer\.1\.output\.dense\.weight"):
        open_checkpoint(folder, "half")


def test_chosen_layers_are_those_of_the_original(tmp_path: Path) -> None:
    folder = _write(tmp_path / "bert", "bert")
    taken = open_checkpoint(folder, "bert", (0, 2))
    original = load_file(folder / "model.safetensors")
    ours = taken.encoder.state_dict()
    assert torch.equal(ours["transformer.layer.1.ffn.lin1.weight"], original["encoder.layer.2.intermediate.dense.weight"])
    assert "transformer.layer.2.ffn.lin1.weight" not in ours
    assert read_geometry(folder, (0, 2)).name == "2x16"


@pytest.mark.parametrize("layers", [(0, 3), (2, 1), (1, 1)])
def test_layers_that_there_are_not_or_out_of_order_are_refused(layers: tuple[int, ...], tmp_path: Path) -> None:
    folder = _write(tmp_path / "bert", "bert")
    with pytest.raises(ConfigurationError, match="layers"):
        open_checkpoint(folder, "bert", layers)


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"hidden_act": "relu"}, "activation is relu"),
        ({"is_decoder": True}, "decoder"),
        ({"layer_norm_eps": 0.1}, "layer norms add 0.1"),
    ],
)
def test_what_the_layout_does_not_allow_is_refused_with_the_reason(settings: dict, named: str, tmp_path: Path) -> None:
    folder = _write(tmp_path / "odd", "bert", **settings)
    with pytest.raises(ConfigurationError, match=named):
        open_checkpoint(folder, "odd")


def test_a_model_of_another_family_is_refused_with_those_that_fit(tmp_path: Path) -> None:
    folder = tmp_path / "gpt"
    folder.mkdir()
    AutoConfig.for_model("gpt2").save_pretrained(folder)
    with pytest.raises(ConfigurationError, match=r"gpt2.*bert, xlm-roberta"):
        open_checkpoint(folder, "gpt")


def test_new_rows_of_a_table_begin_as_the_unknown_token(tmp_path: Path) -> None:
    taken = open_checkpoint(_write(tmp_path / "bert", "bert"), "bert")
    before = taken.encoder.token_table.detach().clone()
    replace_rows(taken.encoder, np.asarray([0, 1, 2, 3, 4, -1, 6]))
    assert torch.equal(taken.encoder.token_table[5], before[1])
    assert torch.equal(taken.encoder.token_table[6], before[6])
    assert taken.encoder.vocabulary_size == 7


def test_the_origin_of_a_checkpoint_says_its_licence_its_bytes_and_its_prefix(tmp_path: Path) -> None:
    folder = _write(tmp_path / "bert", "bert")
    (folder / "README.md").write_text("---\nlicense: apache-2.0\n---\n# A model\n")
    prompts = {"prompts": {"query": "query: ", "other": "x"}, "default_prompt_name": "query"}
    (folder / "config_sentence_transformers.json").write_text(json.dumps(prompts))
    origin = read_origin(folder, "us/bert")
    assert (origin.name, origin.licence, origin.prefix) == ("us/bert", "apache-2.0", "query: ")
    assert len(origin.sha256) == 64


@pytest.mark.parametrize("name", ["./nothing-here", "no such name", "/nothing/here"])
def test_a_checkpoint_that_there_is_not_is_an_error_with_advice(name: str) -> None:
    with pytest.raises(ConfigurationError, match="checkpoint"):
        find_source(name)
