"""The size of an encoder as planning sees it: from a preset, from models.toml, or from a config file. No torch.

Counts follow m5model.encoders: embeddings, post-layer-norm blocks, and the head of masked language modelling, whose last matrix
is the table of word embeddings.
"""

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from m5model.encoders.presets import PRESETS, CrossAttentionPreset, EncoderPreset, layer_parameters
from m5model.runtime.rendering import MARKS
from schemas.errors import ConfigurationError

MODELS_FILE = Path(__file__).with_name("models.toml")
FIELDS, SEGMENTS = 1 + len(MARKS), 2  # rows of the tables of the cross-attention encoder, see encoders.streams
# One meaning, the names that config files have for it: ours, BERT's, DistilBERT's.
SPELLINGS = {
    "layers": ("layers", "num_hidden_layers", "n_layers"),
    "hidden_size": ("hidden_size", "dim"),
    "heads": ("heads", "num_attention_heads", "n_heads"),
    "intermediate_size": ("intermediate_size", "hidden_dim"),
    "vocabulary_size": ("vocabulary_size", "vocab_size"),
    "max_tokens": ("max_tokens", "max_position_embeddings"),
}
MODEL_TYPES = ("bert", "roberta", "xlm-roberta", "distilbert", "m5-cross-attention")


@dataclass(frozen=True, kw_only=True)
class Shape:
    """One encoder. ``structure_layers`` and ``fused_layers`` are 0 where it has one stream."""

    name: str
    layers: int
    hidden_size: int
    heads: int
    intermediate_size: int
    vocabulary_size: int
    max_tokens: int
    structure_layers: int = 0
    fused_layers: int = 0

    @property
    def all_layers(self) -> int:
        """Of both streams."""
        return self.layers + self.structure_layers

    @property
    def fused_sides(self) -> int:
        """Layers of either stream that also attend to the other one."""
        return 2 * self.fused_layers

    @property
    def crossing_parameters(self) -> int:
        """Attention to the other stream, of one layer."""
        return 4 * self.hidden_size * (self.hidden_size + 1)

    @property
    def encoder_parameters(self) -> int:
        blocks = self.all_layers * layer_parameters(self.hidden_size, self.intermediate_size)
        crossings = self.fused_sides * self.crossing_parameters
        streams = 2 if self.structure_layers else 1
        rows = self.vocabulary_size + streams * self.max_tokens + (FIELDS + SEGMENTS if self.structure_layers else 0)
        return rows * self.hidden_size + streams * 2 * self.hidden_size + blocks + crossings

    @property
    def head_parameters(self) -> int:
        """Dense layer, norm, and a bias for every token of the vocabulary."""
        return self.hidden_size * (self.hidden_size + 1) + 2 * self.hidden_size + self.vocabulary_size

    @property
    def parameters(self) -> int:
        """All that is trained by masked language modelling."""
        return self.encoder_parameters + self.head_parameters

    @property
    def largest_layer(self) -> int:
        """Parameters of the largest piece that ZeRO-3 gathers at once."""
        layer = layer_parameters(self.hidden_size, self.intermediate_size)
        return max(layer + (self.crossing_parameters if self.fused_layers else 0), self.vocabulary_size * self.hidden_size)


def find_shape(name: str) -> Shape:
    """The shape of a preset, of models.toml, or of a config file (JSON). Raises ConfigurationError naming what there is."""
    if name in PRESETS:
        return shape_of(PRESETS[name])
    known = {entry["name"]: entry for entry in tomllib.loads(MODELS_FILE.read_text(encoding="utf-8"))["models"]}
    if name in known:
        return _from_config(name, known[name])
    file = Path(name)
    if not (file.is_file() or name.endswith(".json")):
        names = ", ".join([*PRESETS, *known])
        raise ConfigurationError(f"there is no model {name!r}", next_step=f"give one of {names}, or a config.json")
    return _from_config(file.stem, _read_config(file))


def shape_of(preset: EncoderPreset) -> Shape:
    crossed = preset if isinstance(preset, CrossAttentionPreset) else None
    return Shape(
        structure_layers=crossed.structure_layers if crossed else 0,
        fused_layers=crossed.fused_layers if crossed else 0,
        **{name: getattr(preset, name) for name in ("name", *SPELLINGS)},
    )


def _read_config(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{file} cannot be read: {error}", next_step="give a config.json of an encoder") from error
    if not isinstance(found, dict):
        raise ConfigurationError(f"{file} holds no JSON object", next_step="give a config.json of an encoder")
    return found


def _from_config(name: str, found: Mapping[str, Any]) -> Shape:
    kind = found.get("model_type", MODEL_TYPES[0])
    if kind not in MODEL_TYPES:
        raise ConfigurationError(
            f"{name}: model_type is {kind!r}, planning counts encoders of the types {', '.join(MODEL_TYPES)}",
            next_step="leave model_type out where the model is BERT-like",
        )
    values = {ours: next((found[name] for name in names if name in found), None) for ours, names in SPELLINGS.items()}
    extra = {key: found.get(key, 0) for key in ("structure_layers", "fused_layers")}
    # EncoderPreset checks every size, and says all that is wrong.
    given: dict[str, Any] = {**values, "name": name, "parameters": 1}
    return shape_of(CrossAttentionPreset(**given, **extra) if any(extra.values()) else EncoderPreset(**given))
