"""The teacher: a text stream (title, bullets, description) and a structured stream (brand, category, attributes), fused.

Both come in one sequence of token ids, cut apart by the marks of a marked rendering (m5model.encoders.streams); so tasks need
no second case. The lower levels read each stream by itself, in the upper ones each attends to the other. Either may be missing.
Sources: Lu et al. 2019 (ViLBERT: streams of two kinds and co-attention); Zhai et al. 2022 (tokens without padding).

Tensor suffixes: B rows, L tokens, D hidden size, N tokens of one stream, V vocabulary.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from transformers import AutoConfig, AutoModel, PretrainedConfig, PreTrainedModel
from transformers.modeling_outputs import BaseModelOutput

from m5model.data.vocabulary import SPECIAL_TOKENS
from m5model.encoders.encoder import TextEncoder, count_parameters
from m5model.encoders.fused_layers import NORM_EPSILON, Layer, Level
from m5model.encoders.loading import load_weights
from m5model.encoders.presets import CrossAttentionPreset
from m5model.encoders.streams import FIELD_COUNT, SEGMENTS, Stream, read_streams
from m5model.runtime.rendering import MARKS
from schemas.bundle import WEIGHTS_FILE
from schemas.errors import ConfigurationError

MODEL_TYPE = "m5-cross-attention"


class CrossAttentionConfig(PretrainedConfig):
    """The geometry as Hugging Face writes it down."""

    model_type = MODEL_TYPE

    def __init__(
        self,
        vocab_size: int = 8_192,
        max_position_embeddings: int = 128,
        num_hidden_layers: int = 2,
        structure_layers: int = 1,
        fused_layers: int = 1,
        hidden_size: int = 128,
        num_attention_heads: int = 4,
        intermediate_size: int = 512,
        dropout: float = 0.1,
        initializer_range: float = 0.02,
        **more: Any,
    ) -> None:
        self.vocab_size = vocab_size
        self.max_position_embeddings = max_position_embeddings
        self.num_hidden_layers = num_hidden_layers  # of the text stream
        self.structure_layers = structure_layers
        self.fused_layers = fused_layers
        self.hidden_size = hidden_size
        self.num_attention_heads = num_attention_heads
        self.intermediate_size = intermediate_size
        self.dropout = dropout
        self.initializer_range = initializer_range
        more["pad_token_id"] = 0
        more["tie_word_embeddings"] = False  # nothing to tie: training heads live outside the encoder
        super().__init__(**more)


class StreamEmbeddings(nn.Module):
    """Word, position, field and segment embeddings; words are shared by both streams, positions count within each."""

    def __init__(self, config: CrossAttentionConfig) -> None:
        super().__init__()
        hidden_size = config.hidden_size
        self.word_embeddings = nn.Embedding(config.vocab_size, hidden_size, padding_idx=0)
        self.text_positions = nn.Embedding(config.max_position_embeddings, hidden_size)
        self.structure_positions = nn.Embedding(config.max_position_embeddings, hidden_size)
        self.fields = nn.Embedding(FIELD_COUNT, hidden_size)
        self.segments = nn.Embedding(SEGMENTS, hidden_size)
        self.text_norm = nn.LayerNorm(hidden_size, eps=NORM_EPSILON)
        self.structure_norm = nn.LayerNorm(hidden_size, eps=NORM_EPSILON)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, text: Stream, structure: Stream) -> tuple[Tensor, Tensor]:
        """Both streams: (N, D), (M, D)."""
        return (
            self._embed(text, self.text_positions, self.text_norm),
            self._embed(structure, self.structure_positions, self.structure_norm),
        )

    def _embed(self, stream: Stream, positions: nn.Embedding, norm: nn.LayerNorm) -> Tensor:
        words_ND = self.word_embeddings(stream.ids_N) + positions(stream.positions_N)
        embedded_ND: Tensor = self.dropout(norm(words_ND + self.fields(stream.fields_N) + self.segments(stream.segments_N)))
        return embedded_ND


class CrossAttentionEncoder(TextEncoder, PreTrainedModel):
    """The encoder of two streams, seen through the protocol, and as a model of transformers."""

    config_class = CrossAttentionConfig
    base_model_prefix = "encoder"
    main_input_name = "input_ids"
    _supports_sdpa = True

    def __init__(self, config: CrossAttentionConfig) -> None:
        super().__init__(config)
        self.embeddings = StreamEmbeddings(config)
        first_structured = config.num_hidden_layers - config.structure_layers
        first_fused = config.num_hidden_layers - config.fused_layers
        self.levels = nn.ModuleList(
            Level(
                _layer(config, is_fused=place >= first_fused),
                _layer(config, is_fused=place >= first_fused) if place >= first_structured else None,
            )
            for place in range(config.num_hidden_layers)
        )
        self.saves_memory = False
        self.post_init()

    @property
    def hidden_size(self) -> int:
        return int(self.config.hidden_size)

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

    @property
    def guessable_ids(self) -> np.ndarray:
        """All but control tokens and marks: where a mark is hidden, fields and streams would be others."""
        return np.arange(len(SPECIAL_TOKENS), self.vocabulary_size - len(MARKS))

    def get_input_embeddings(self) -> nn.Module:
        return self.embeddings.word_embeddings

    def save_memory(self) -> None:
        self.saves_memory = True

    @property
    def blocks(self) -> Sequence[nn.Module]:
        return list(self.levels)

    def hidden_states(self, ids_BL: Tensor, mask: Tensor) -> Tensor:
        """Hidden states (B, L, D), zeros where the mask (B, L) is 0. Refuses additive masks: it has no ONNX graph."""
        if mask.ndim != 2:
            raise ConfigurationError(
                "the cross-attention encoder takes no additive mask", next_step="export a student; teachers have no ONNX graph"
            )
        hidden_BLD: Tensor = self(input_ids=ids_BL, attention_mask=mask).last_hidden_state
        return hidden_BLD

    def forward(self, input_ids: Tensor, attention_mask: Tensor | None = None, **_: object) -> BaseModelOutput:
        """``last_hidden_state`` (B, L, D)."""
        mask_BL = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        text, structure = read_streams(input_ids, mask_BL, self.vocabulary_size)
        text_ND, structure_ND = self.embeddings(text, structure)
        for level in self.levels:
            if self.saves_memory and self.training:
                text_ND, structure_ND = checkpoint(level, text_ND, structure_ND, text, structure, use_reentrant=False)
            else:
                text_ND, structure_ND = level(text_ND, structure_ND, text, structure)
        hidden_BLD = text_ND.new_zeros(*input_ids.shape, text_ND.shape[1])
        hidden_BLD[text.here_BL] = text_ND
        hidden_BLD[structure.here_BL] = structure_ND.to(text_ND.dtype)
        return BaseModelOutput(last_hidden_state=hidden_BLD)

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        """Weights as in BERT: matrices drawn, biases 0, norms 1. transformers calls this for every module."""
        if isinstance(module, nn.Linear | nn.Embedding):
            nn.init.normal_(module.weight, std=self.config.initializer_range)
        if isinstance(module, nn.Linear):
            nn.init.zeros_(module.bias)
        if isinstance(module, nn.Embedding) and module.padding_idx is not None:
            nn.init.zeros_(module.weight[module.padding_idx])
        if isinstance(module, nn.LayerNorm):
            nn.init.ones_(module.weight)
            nn.init.zeros_(module.bias)


def _layer(config: CrossAttentionConfig, *, is_fused: bool) -> Layer:
    return Layer(config.hidden_size, config.num_attention_heads, config.intermediate_size, config.dropout, is_fused)


def build_cross_attention(
    preset: CrossAttentionPreset, vocabulary_size: int | None = None, seed: int = 0
) -> CrossAttentionEncoder:
    """A new encoder with weights that are a function of ``seed`` alone. The last tokens of the vocabulary are the marks."""
    torch.manual_seed(seed)
    return CrossAttentionEncoder(
        CrossAttentionConfig(
            vocab_size=vocabulary_size or preset.vocabulary_size,
            max_position_embeddings=preset.max_tokens,
            num_hidden_layers=preset.layers,
            structure_layers=preset.structure_layers,
            fused_layers=preset.fused_layers,
            hidden_size=preset.hidden_size,
            num_attention_heads=preset.heads,
            intermediate_size=preset.intermediate_size,
        )
    )


def geometry_of(config: CrossAttentionConfig) -> CrossAttentionPreset:
    """The size that a config says, named as those that begin with the weights of others."""
    preset = CrossAttentionPreset(
        name=f"{config.num_hidden_layers}x{config.hidden_size}+{config.structure_layers}",
        layers=config.num_hidden_layers,
        structure_layers=config.structure_layers,
        fused_layers=config.fused_layers,
        hidden_size=config.hidden_size,
        heads=config.num_attention_heads,
        intermediate_size=config.intermediate_size,
        vocabulary_size=config.vocab_size,
        max_tokens=config.max_position_embeddings,
        parameters=1,
    )
    with torch.device("meta"):
        return replace(preset, parameters=count_parameters(CrossAttentionEncoder(config)))


def save_cross_attention(folder: Path, encoder: CrossAttentionEncoder) -> None:
    """Write config.json and model.safetensors, which ``transformers.AutoModel`` opens once m5model is imported."""
    encoder.config.architectures = [CrossAttentionEncoder.__name__]
    encoder.config.save_pretrained(folder)
    weights = {name: tensor.contiguous() for name, tensor in encoder.state_dict().items()}
    save_file(weights, folder / WEIGHTS_FILE, metadata={"format": "pt"})


def load_cross_attention(folder: Path) -> CrossAttentionEncoder:
    """The encoder of a checkpoint folder, in evaluation mode. Raises DamagedFileError naming every weight that does not fit."""
    encoder = CrossAttentionEncoder(CrossAttentionConfig.from_pretrained(folder))
    load_weights(encoder, folder / WEIGHTS_FILE)
    return encoder.eval()


AutoConfig.register(MODEL_TYPE, CrossAttentionConfig, exist_ok=True)
AutoModel.register(CrossAttentionConfig, CrossAttentionEncoder, exist_ok=True)
