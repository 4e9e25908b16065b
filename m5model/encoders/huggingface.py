"""Checkpoints of others become our encoders: BERT's family in the DistilBERT layout.

BERT, XLM-R, RoBERTa and MiniLM-shaped encoders have the blocks of DistilBERT; what differs is names, token types (the row of
type 0 is added to every position) and where positions begin. Every conversion is compared with the original model.
Tensor suffixes: B rows, L tokens, D hidden size.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, PretrainedConfig, PreTrainedModel

from m5model.data.vocabulary import SPECIAL_TOKENS, UNK_ID
from m5model.data.vocabulary_layout import NEW_ROW, ArrangedVocabulary, arrange_vocabulary
from m5model.encoders.bert import BertEncoder, layout_config
from m5model.encoders.cross_attention import CrossAttentionEncoder
from m5model.encoders.encoder import TextEncoder, pool, sentence_vectors
from m5model.encoders.presets import EncoderPreset, layer_parameters
from m5model.encoders.sources import find_weights
from schemas.checks import require
from schemas.errors import ConfigurationError, DamagedFileError

# Largest difference of any component of a unit vector, original against converted.
TOLERANCE = 1e-5
BERT_FAMILY = ("bert", "xlm-roberta", "roberta", "camembert", "distilbert")
# Their positions begin behind the id of their padding token.
ROBERTA_FAMILY = ("xlm-roberta", "roberta", "camembert")
_PARTS = {
    "attention.self.query": "attention.q_lin",
    "attention.self.key": "attention.k_lin",
    "attention.self.value": "attention.v_lin",
    "attention.output.dense": "attention.out_lin",
    "attention.output.LayerNorm": "sa_layer_norm",
    "intermediate.dense": "ffn.lin1",
    "output.dense": "ffn.lin2",
    "output.LayerNorm": "output_layer_norm",
}
_LAYER = re.compile(r"(?:encoder|transformer)\.layer\.(\d+)\.(.+)\.(weight|bias)")


@dataclass(frozen=True, kw_only=True)
class LoadReport:
    """Says which weights of a checkpoint came, which are new and which were not used: names of tensors."""

    came: tuple[str, ...]
    new: tuple[str, ...]  # wanted and not there
    unused: tuple[str, ...]  # there and not wanted
    difference: float = 0.0  # of unit vectors, converted against original

    def describe(self) -> str:
        unused = f" ({', '.join(self.unused)})" if self.unused else ""
        new = f" ({', '.join(self.new)})" if self.new else ""
        return (
            f"{len(self.came)} tensors came, {len(self.new)} are new{new}, {len(self.unused)} were not used{unused}; "
            f"vectors differ from the original's by {self.difference:.1e} at most"
        )


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A checkpoint of others as our encoder with its vocabulary."""

    encoder: TextEncoder
    tokenizer: Tokenizer
    report: LoadReport


def read_geometry(folder: Path, layers: Sequence[int] = (), vocabulary_size: int | None = None) -> EncoderPreset:
    """The size of a checkpoint's encoder, named LAYERSxHIDDEN, without reading its weights.

    ``layers`` are those that will be taken, ``vocabulary_size`` the tokens that will be kept; all without.
    """
    return _geometry(AutoConfig.from_pretrained(folder), layers, vocabulary_size)


def _geometry(config: Any, layers: Sequence[int], vocabulary_size: int | None = None) -> EncoderPreset:
    kept, hidden = len(layers) or config.num_hidden_layers, config.hidden_size
    positions = config.max_position_embeddings - (config.pad_token_id + 1 if config.model_type in ROBERTA_FAMILY else 0)
    intermediate = getattr(config, "intermediate_size", None) or config.hidden_dim
    tokens = min(vocabulary_size or config.vocab_size, config.vocab_size)
    return EncoderPreset(
        name=f"{kept}x{hidden}",
        layers=kept,
        hidden_size=hidden,
        heads=config.num_attention_heads,
        intermediate_size=intermediate,
        vocabulary_size=tokens,
        max_tokens=positions,
        parameters=(tokens + positions + 2) * hidden + kept * layer_parameters(hidden, intermediate),
    )


def open_checkpoint(folder: Path, name: str, layers: Sequence[int] = ()) -> Checkpoint:
    """The encoder of a checkpoint folder in the DistilBERT layout, its vocabulary in M5's layout.

    ``layers`` chooses layers by number from 0; without any, all are taken. Raises ConfigurationError where the layout does not
    allow the model, DamagedFileError where its weights are not all there.
    """
    config = AutoConfig.from_pretrained(folder)
    _require_layout(config, name)
    original, report = load_original(folder, config)
    _choose_layers(original, layers, name)
    arranged = arrange_vocabulary(folder)
    converted = _convert(original, _geometry(config, layers), arranged)
    difference = _compare(original, converted, arranged)
    if not difference <= TOLERANCE:
        raise ConfigurationError(
            f"{name} does not fit the DistilBERT layout: its vectors would differ by {difference:.1e}, at most {TOLERANCE:.0e} "
            f"is allowed (layer norms add {getattr(config, 'layer_norm_eps', 1e-12)}, the layout 1e-12)",
            next_step="begin with a checkpoint whose layer_norm_eps is 1e-12, such as BERT, MiniLM or multilingual E5; or "
            "let a teacher keep its own layout: --form whole",
        )
    tables = ("vocabulary rows without an original",) if (arranged.rows == NEW_ROW).any() else ()
    report = LoadReport(came=report.came, new=tables, unused=report.unused, difference=difference)
    return Checkpoint(encoder=converted, tokenizer=arranged.tokenizer, report=report)


def load_original(folder: Path, config: PretrainedConfig) -> tuple[PreTrainedModel, LoadReport]:
    """The model as its authors wrote it, in evaluation mode. Raises DamagedFileError where a weight is missing or misshapen.

    A pooler is no part of an encoder: sentence vectors are means, so it may be absent.
    """
    model: PreTrainedModel = AutoModel.from_config(config)
    found = _read_weights(folder, str(model.base_model_prefix))
    wanted = {name: tensor for name, tensor in model.state_dict().items() if not name.startswith("pooler.")}
    missing = [name for name in wanted if name not in found]
    shapes = [
        f"{name} is {tuple(found[name].shape)}, expected {tuple(wanted[name].shape)}"
        for name in wanted.keys() & found.keys()
        if found[name].shape != wanted[name].shape
    ]
    if missing or shapes:
        listed = [*(f"missing {name}" for name in missing), *sorted(shapes)]
        more = f" and {len(listed) - 8} more" if len(listed) > 8 else ""
        raise DamagedFileError(
            f"the weights of {folder} did not come whole: {'; '.join(listed[:8])}{more}",
            next_step="give the checkpoint that its config.json was saved with; a half-loaded encoder would start from noise",
        )
    came = {name: found[name].float() for name in wanted}
    model.load_state_dict(came, strict=False)
    unused = tuple(sorted(found.keys() - wanted.keys()))
    return model.float().eval(), LoadReport(came=tuple(wanted), new=(), unused=unused)


def replace_rows(encoder: TextEncoder, rows: np.ndarray) -> None:
    """Give the encoder another token table, in place: row i of it is old row ``rows[i]``; NEW_ROW takes the unknown token's."""
    if not isinstance(encoder, BertEncoder | CrossAttentionEncoder):
        raise ConfigurationError(f"the token table of a {type(encoder).__name__} is fixed", next_step="keep its vocabulary")
    table_VD = encoder.token_table.detach()
    chosen = torch.from_numpy(np.where(rows == NEW_ROW, UNK_ID, rows))
    encoder.embeddings.word_embeddings = nn.Embedding.from_pretrained(table_VD[chosen].clone(), freeze=False, padding_idx=0)
    encoder.config.vocab_size = len(rows)


def _require_layout(config: PretrainedConfig, name: str) -> None:
    kind = config.model_type
    layout = f"{name} is of the kind {kind}; the DistilBERT layout takes {', '.join(BERT_FAMILY)}"
    positions = getattr(config, "position_embedding_type", "absolute") or "absolute"
    activation = getattr(config, "hidden_act", None) or getattr(config, "activation", None)
    require(
        "starting weights",
        {
            layout: kind in BERT_FAMILY,
            f"positions are {positions}, expected absolute": positions == "absolute",
            f"the activation is {activation}, expected gelu": activation == "gelu" or kind not in BERT_FAMILY,
            "it is a decoder": not getattr(config, "is_decoder", False),
            "its positions are sinusoids": not getattr(config, "sinusoidal_pos_embds", False),
        },
    )


def _read_weights(folder: Path, prefix: str) -> dict[str, Tensor]:
    """All tensors by name, without the prefix that models with a head put before those of the encoder."""
    found: dict[str, Tensor] = {}
    for file in find_weights(folder):
        found |= load_file(file) if file.suffix == ".safetensors" else torch.load(file, map_location="cpu", weights_only=True)
    names = {name: re.sub(r"LayerNorm\.(gamma|beta)$", _modern_name, name) for name in found}
    return {names[name].removeprefix(f"{prefix}."): tensor for name, tensor in found.items() if "position_ids" not in name}


def _modern_name(match: re.Match[str]) -> str:
    return f"LayerNorm.{'weight' if match[1] == 'gamma' else 'bias'}"


def _stack(model: PreTrainedModel) -> nn.Module:
    """The module whose ``layer`` is the list of layers."""
    stack: nn.Module = model.get_submodule("transformer" if model.config.model_type == "distilbert" else "encoder")
    return stack


def _choose_layers(model: PreTrainedModel, layers: Sequence[int], name: str) -> None:
    stack = _stack(model)
    there: Any = stack.layer
    wrong = [layer for layer in layers if not 0 <= layer < len(there)]
    require(
        "layers",
        {
            f"{name} has layers 0 to {len(there) - 1}, not {wrong}": not wrong,
            f"{list(layers)} is not in rising order": list(layers) == sorted(set(layers)),
        },
    )
    if layers:
        stack.layer = nn.ModuleList(there[layer] for layer in layers)


def _convert(model: PreTrainedModel, geometry: EncoderPreset, arranged: ArrangedVocabulary) -> BertEncoder:
    weights = dict(model.state_dict())
    word = weights["embeddings.word_embeddings.weight"]
    unknown = int(arranged.rows[UNK_ID]) if arranged.rows[UNK_ID] != NEW_ROW else 0
    rows = torch.from_numpy(np.where(arranged.rows == NEW_ROW, unknown, arranged.rows))
    positions = _positions(weights, model.config)
    converted: dict[str, Tensor] = {
        "embeddings.word_embeddings.weight": word[rows],
        "embeddings.position_embeddings.weight": positions,
        "embeddings.LayerNorm.weight": weights["embeddings.LayerNorm.weight"],
        "embeddings.LayerNorm.bias": weights["embeddings.LayerNorm.bias"],
    }
    for name, tensor in weights.items():
        if layer := _LAYER.fullmatch(name):
            converted[f"transformer.layer.{layer[1]}.{_PARTS.get(layer[2], layer[2])}.{layer[3]}"] = tensor
    encoder: BertEncoder = BertEncoder(layout_config(geometry, len(rows)))
    encoder.load_state_dict(converted, strict=True)
    return encoder.eval()


def _positions(weights: Mapping[str, Tensor], config: PretrainedConfig) -> Tensor:
    """Position embeddings from the first position on, with the row of token type 0."""
    positions = weights["embeddings.position_embeddings.weight"]
    if config.model_type in ROBERTA_FAMILY:
        positions = positions[config.pad_token_id + 1 :]
    types = weights.get("embeddings.token_type_embeddings.weight")
    return positions if types is None else positions + types[0]


@torch.no_grad()
def _compare(original: PreTrainedModel, converted: BertEncoder, arranged: ArrangedVocabulary) -> float:
    """Largest difference of unit vectors on random texts of several lengths, padding among them."""
    draw = torch.Generator().manual_seed(0)
    longest = min(converted.max_tokens, 128)
    first = len(SPECIAL_TOKENS)
    ids_BL = torch.randint(first, len(arranged.rows), (8, longest), generator=draw)
    lengths_B = torch.linspace(4, longest, 8).long()
    mask_BL = (torch.arange(longest)[None] < lengths_B[:, None]).long()
    padding = int(getattr(original.config, "pad_token_id", 0) or 0)
    theirs_BL = torch.where(mask_BL.bool(), torch.from_numpy(arranged.rows)[ids_BL], padding)
    expected_BLD = original(input_ids=theirs_BL, attention_mask=mask_BL).last_hidden_state
    return float((sentence_vectors(converted, ids_BL, mask_BL) - pool(expected_BLD, mask_BL)).abs().max())
