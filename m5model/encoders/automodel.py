"""Any encoder of transformers as a teacher, as it is: its own layout, its own tokenizer, mean or cls pooling.

What does not fit the DistilBERT layout of students (other norms, rotary positions, gated layers) need not: a teacher is only
asked for vectors and hidden states. Its token ids stay its own. Tensor suffixes: B rows, L tokens, D hidden size.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, PretrainedConfig, PreTrainedModel

from m5model.data.vocabulary import load_vocabulary
from m5model.data.vocabulary_layout import read_roles
from m5model.encoders.bert import POOLING_FILE, POOLING_MODES, write_pooling
from m5model.encoders.encoder import TextEncoder, count_parameters
from m5model.encoders.huggingface import ROBERTA_FAMILY, Checkpoint, load_original
from m5model.encoders.presets import WholePreset
from schemas.bundle import TOKENIZER_FILE
from schemas.checks import require
from schemas.errors import ConfigurationError

WHOLE = "m5_whole"  # in the config.json of a bundle whose encoder was taken as it is
LIMITS = (("tokenizer_config.json", "model_max_length"), ("sentence_bert_config.json", "max_seq_length"))
# Tokenizers without a limit state a number that no text reaches.
NO_LIMIT = 1_000_000


class WholeEncoder(TextEncoder):
    """A model of transformers, seen through the protocol."""

    def __init__(self, model: PreTrainedModel, tokenizer: Tokenizer, roles: Mapping[str, str], preset: WholePreset) -> None:
        super().__init__()
        self.model = model
        found = {role: tokenizer.token_to_id(name) for role, name in roles.items()}
        self._ids = {role: number for role, number in found.items() if number is not None}
        self._roles = {role: roles[role] for role in self._ids}
        self._special = sorted(token for token, added in tokenizer.get_added_tokens_decoder().items() if added.special)
        self._preset = preset

    @property
    def hidden_size(self) -> int:
        return self._preset.hidden_size

    @property
    def vocabulary_size(self) -> int:
        return len(self.token_table)

    @property
    def max_tokens(self) -> int:
        return self._preset.max_tokens

    @property
    def initial_deviation(self) -> float:
        return float(getattr(self.model.config, "initializer_range", None) or 0.02)

    @property
    def token_table(self) -> Tensor:
        table: Any = self.model.get_input_embeddings().weight
        return cast(Tensor, table)

    @property
    def pooling(self) -> str:
        return self._preset.pooling

    @property
    def control_tokens(self) -> Mapping[str, str]:
        return self._roles

    @property
    def mask_id(self) -> int:
        if "mask_token" not in self._ids:
            raise ConfigurationError("the vocabulary has no mask token", next_step="leave out masked language modelling")
        return self._ids["mask_token"]

    @property
    def guessable_ids(self) -> np.ndarray:
        return np.setdiff1d(np.arange(self.vocabulary_size), self._special)

    def save_memory(self) -> None:
        self.model.gradient_checkpointing_enable({"use_reentrant": False})

    @property
    def blocks(self) -> Sequence[nn.Module]:
        """The longest list of modules in the model."""
        lists = [list(part) for part in self.model.modules() if isinstance(part, nn.ModuleList)]
        return max(lists, key=len, default=[])

    def hidden_states(self, ids_BL: Tensor, mask: Tensor) -> Tensor:
        """Hidden states (B, L, D); ``mask`` is (B, L). What it hides becomes the model's own padding token."""
        padded_BL = torch.where(mask.bool(), ids_BL, self._ids.get("pad_token", 0))
        hidden_BLD: Tensor = self.model(input_ids=padded_BL, attention_mask=mask).last_hidden_state
        return hidden_BLD


def read_whole_geometry(folder: Path, pooling: str = "") -> WholePreset:
    """The size of a checkpoint's encoder, without reading its weights. Raises ConfigurationError for a model that has no text.

    ``pooling`` is mean or cls; where it is empty, what the checkpoint says for sentence-transformers, else mean.
    """
    config = AutoConfig.from_pretrained(folder)
    _require_encoder(config, pooling)
    with torch.device("meta"):
        model = _without_pooler(AutoModel.from_config(config))
        parameters, table = count_parameters(model), model.get_input_embeddings().weight
    hidden, heads = int(table.shape[1]), int(getattr(config, "num_attention_heads", 1) or 1)
    hidden = int(getattr(config, "hidden_size", None) or hidden)
    layers = int(config.num_hidden_layers)
    return WholePreset(
        name=f"{config.model_type}-{layers}x{hidden}",
        layers=layers,
        hidden_size=hidden,
        heads=heads if hidden % heads == 0 else 1,
        intermediate_size=int(getattr(config, "intermediate_size", None) or getattr(config, "hidden_dim", None) or hidden),
        vocabulary_size=int(table.shape[0]),
        max_tokens=_max_tokens(folder, config),
        parameters=parameters,
        architecture=config.model_type,
        pooling=pooling or _read_pooling(folder),
    )


def open_whole(folder: Path, preset: WholePreset) -> Checkpoint:
    """The encoder and the vocabulary of a checkpoint folder as they are. Raises DamagedFileError where weights are missing."""
    if not (folder / TOKENIZER_FILE).is_file():
        raise ConfigurationError(
            f"{folder} has no {TOKENIZER_FILE}",
            next_step="make one: transformers.AutoTokenizer.from_pretrained(FOLDER).save_pretrained(FOLDER)",
        )
    config = AutoConfig.from_pretrained(folder)
    tokenizer, roles = load_vocabulary(folder), read_roles(folder)
    model, report = load_original(folder, config)
    encoder = WholeEncoder(_without_pooler(model), tokenizer, roles, preset)
    wanted = set(model.state_dict())
    came = tuple(name for name in report.came if name in wanted)
    return Checkpoint(encoder=encoder.eval(), tokenizer=tokenizer, report=type(report)(came=came, new=(), unused=report.unused))


def save_whole(folder: Path, encoder: WholeEncoder, max_tokens: int, prefix: str) -> None:
    """Write the checkpoint in its own layout, which plain ``transformers.AutoModel`` opens."""
    setattr(encoder.model.config, WHOLE, True)
    encoder.model.save_pretrained(folder)
    write_pooling(folder, encoder, max_tokens, prefix)


def load_whole(folder: Path) -> TextEncoder:
    """The encoder of a bundle whose encoder was taken as it is, in evaluation mode."""
    return open_whole(folder, read_whole_geometry(folder)).encoder


def _require_encoder(config: PretrainedConfig, pooling: str) -> None:
    require(
        "starting weights",
        {
            f"a {config.model_type} has a decoder, expected an encoder alone": not config.is_encoder_decoder,
            f"a {config.model_type} has no layers and no words": hasattr(config, "num_hidden_layers")
            and hasattr(config, "vocab_size"),
            f"pooling is {pooling!r}, expected one of {', '.join(POOLING_MODES)}": not pooling or pooling in POOLING_MODES,
        },
    )


def _without_pooler(model: Any) -> Any:
    """A pooler is no part of hidden states; it would be a weight that nothing trains."""
    if getattr(model, "pooler", None) is not None:
        model.pooler = None
    return model


def _read_pooling(folder: Path) -> str:
    file = folder / POOLING_FILE
    said = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    return "cls" if said.get(POOLING_MODES["cls"]) or said.get("pooling_mode") == "cls" else "mean"


def _max_tokens(folder: Path, config: Any) -> int:
    """The least of what positions, tokenizer and sentence-transformers allow."""
    positions = int(getattr(config, "max_position_embeddings", 0) or 512)
    limits = [positions - (config.pad_token_id + 1 if config.model_type in ROBERTA_FAMILY else 0)]
    for name, key in LIMITS:
        file = folder / name
        value = json.loads(file.read_text(encoding="utf-8")).get(key) if file.is_file() else None
        if value and value < NO_LIMIT:
            limits.append(int(value))
    return min(limits)
