"""The BERT-style encoder: built from a preset, saved as a Hugging Face checkpoint, loaded strictly.

Tensor suffixes: B rows, L tokens, D hidden size, V vocabulary.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers import DistilBertConfig, DistilBertModel

from m5model.encoders.encoder import TextEncoder
from m5model.encoders.loading import load_weights
from m5model.encoders.presets import EncoderPreset
from schemas.bundle import PROMPTS_FILE, WEIGHTS_FILE
from schemas.checks import require
from schemas.errors import ConfigurationError

POOLING_FILE = "1_Pooling/config.json"
POOLING_MODES = {"mean": "pooling_mode_mean_tokens", "cls": "pooling_mode_cls_token"}  # as sentence-transformers names them
PROMPT = "text"  # the name that sentence-transformers knows a prefix by


class BertEncoder(TextEncoder, DistilBertModel):
    """DistilBertModel, seen through the protocol. Its weights keep the names that they have there."""

    @property
    def hidden_size(self) -> int:
        return int(self.config.dim)

    @property
    def vocabulary_size(self) -> int:
        return int(self.config.vocab_size)

    @property
    def max_tokens(self) -> int:
        return int(self.config.max_position_embeddings)

    @property
    def initial_deviation(self) -> float:
        return float(self.config.initializer_range)

    @property
    def token_table(self) -> Tensor:
        return self.embeddings.word_embeddings.weight

    def save_memory(self) -> None:
        self.gradient_checkpointing_enable({"use_reentrant": False})

    @property
    def blocks(self) -> Sequence[nn.Module]:
        return list(self.transformer.layer)

    def hidden_states(self, ids_BL: Tensor, mask: Tensor) -> Tensor:
        hidden_BLD: Tensor = self(input_ids=ids_BL, attention_mask=mask).last_hidden_state
        return hidden_BLD

    def layer_states(self, ids_BL: Tensor, mask_BL: Tensor) -> tuple[Tensor, ...]:
        embedded_BLD, *states = self(input_ids=ids_BL, attention_mask=mask_BL, output_hidden_states=True).hidden_states
        return tuple(states)


def build_encoder(preset: EncoderPreset, vocabulary_size: int | None = None, seed: int = 0) -> BertEncoder:
    """A new encoder with weights that are a function of ``seed`` alone, and as many tokens as there really are."""
    torch.manual_seed(seed)
    return BertEncoder(layout_config(preset, vocabulary_size or preset.vocabulary_size))


def keep_layers(encoder: TextEncoder, layers: Sequence[int]) -> None:
    """Drop all layers but these (numbers from 0, rising), in place; nothing happens without any."""
    if not isinstance(encoder, BertEncoder):
        raise ConfigurationError(f"layers of a {type(encoder).__name__} cannot be chosen", next_step="take all of them")
    there = len(encoder.transformer.layer)
    rules = {
        f"layers are {list(layers)}, expected some of 0 to {there - 1}": all(0 <= layer < there for layer in layers),
        f"layers are {list(layers)}, expected rising numbers": list(layers) == sorted(set(layers)),
    }
    require("layers", rules)
    if layers:
        encoder.transformer.layer = nn.ModuleList(encoder.transformer.layer[layer] for layer in layers)
        encoder.config.n_layers = len(layers)


@contextmanager
def only_layers(encoder: TextEncoder, layers: Sequence[int]) -> Iterator[None]:
    """Within it the encoder has only these layers; see ``keep_layers``."""
    if not isinstance(encoder, BertEncoder):
        raise ConfigurationError(f"layers of a {type(encoder).__name__} cannot be chosen", next_step="take all of them")
    whole, count = encoder.transformer.layer, encoder.config.n_layers
    keep_layers(encoder, layers)
    try:
        yield
    finally:
        encoder.transformer.layer, encoder.config.n_layers = whole, count


def save_encoder(folder: Path, encoder: TextEncoder, max_tokens: int, prefix: str = "") -> None:
    """Write config.json and model.safetensors, and what sentence-transformers reads beside them.

    ``prefix`` is what every text begins with; sentence-transformers puts it there, too.
    """
    if not isinstance(encoder, BertEncoder):
        raise TypeError(f"{type(encoder).__name__} is no BertEncoder")
    encoder.config.architectures = [DistilBertModel.__name__]
    encoder.config.save_pretrained(folder)
    weights = {name: tensor.contiguous() for name, tensor in encoder.state_dict().items()}
    save_file(weights, folder / WEIGHTS_FILE, metadata={"format": "pt"})  # transformers refuses files without this format
    write_pooling(folder, encoder, max_tokens, prefix)


def load_encoder(folder: Path, attention: str = "sdpa") -> BertEncoder:
    """The encoder of a checkpoint folder, in evaluation mode.

    ``attention`` is the implementation: "sdpa", or "eager" for export. Raises DamagedFileError naming every weight that
    is missing, unexpected or of another shape: from_pretrained would only warn, and start those from noise.
    """
    config = DistilBertConfig.from_pretrained(folder)
    encoder: BertEncoder = BertEncoder._from_config(config, attn_implementation=attention)
    load_weights(encoder, folder / WEIGHTS_FILE)
    return encoder.eval()


def layout_config(preset: EncoderPreset, vocabulary_size: int) -> DistilBertConfig:
    """The geometry as Hugging Face writes it down."""
    return DistilBertConfig(
        vocab_size=vocabulary_size,
        max_position_embeddings=preset.max_tokens,
        n_layers=preset.layers,
        n_heads=preset.heads,
        dim=preset.hidden_size,
        hidden_dim=preset.intermediate_size,
        pad_token_id=0,
        tie_word_embeddings=False,  # nothing to tie: training heads live outside the encoder
    )


def write_pooling(folder: Path, encoder: TextEncoder, max_tokens: int, prefix: str) -> None:
    """Write what sentence-transformers reads beside a checkpoint: how vectors are pooled, and what texts begin with."""
    module = "sentence_transformers.models"
    modules = [
        {"idx": 0, "name": "0", "path": "", "type": f"{module}.Transformer"},
        {"idx": 1, "name": "1", "path": "1_Pooling", "type": f"{module}.Pooling"},
        {"idx": 2, "name": "2", "path": "2_Normalize", "type": f"{module}.Normalize"},
    ]
    pooling = {"word_embedding_dimension": encoder.hidden_size, POOLING_MODES[encoder.pooling]: True, "include_prompt": True}
    if encoder.pooling != "mean":
        pooling[POOLING_MODES["mean"]] = False  # else it would be both
    _write_json(folder / "modules.json", modules)
    _write_json(folder / "sentence_bert_config.json", {"max_seq_length": max_tokens, "do_lower_case": False})
    _write_json(folder / POOLING_FILE, pooling)
    _write_json(folder / "2_Normalize" / "config.json", {})
    if prefix:
        _write_json(folder / PROMPTS_FILE, {"prompts": {PROMPT: prefix}, "default_prompt_name": PROMPT})


def _write_json(file: Path, value: object) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
