"""Builds, saves and loads encoders of every kind; which one it is follows from the preset, the class, or config.json."""

import json
from pathlib import Path
from typing import Any

from m5model.data.vocabulary import load_vocabulary
from m5model.encoders import bert
from m5model.encoders.automodel import WHOLE, WholeEncoder, load_whole, open_whole, read_whole_geometry, save_whole
from m5model.encoders.cross_attention import (
    MODEL_TYPE,
    CrossAttentionConfig,
    CrossAttentionEncoder,
    build_cross_attention,
    geometry_of,
    load_cross_attention,
    save_cross_attention,
)
from m5model.encoders.encoder import TextEncoder
from m5model.encoders.huggingface import Checkpoint, LoadReport
from m5model.encoders.presets import CrossAttentionPreset, EncoderPreset, WholePreset
from schemas.bundle import CONFIG_FILE


def build_encoder(preset: EncoderPreset, vocabulary_size: int | None = None, seed: int = 0) -> TextEncoder:
    """A new encoder of that size, its weights a function of ``seed`` alone."""
    if isinstance(preset, CrossAttentionPreset):
        return build_cross_attention(preset, vocabulary_size, seed)
    return bert.build_encoder(preset, vocabulary_size, seed)


def save_encoder(folder: Path, encoder: TextEncoder, max_tokens: int, prefix: str = "") -> None:
    """Write config.json and model.safetensors, and what sentence-transformers reads beside them where it can."""
    if isinstance(encoder, CrossAttentionEncoder):
        save_cross_attention(folder, encoder)
    elif isinstance(encoder, WholeEncoder):
        save_whole(folder, encoder, max_tokens, prefix)
    else:
        bert.save_encoder(folder, encoder, max_tokens, prefix)


def load_encoder(folder: Path) -> TextEncoder:
    """The encoder of a checkpoint folder, in evaluation mode. Raises DamagedFileError where its weights are not all there."""
    config = _read_config(folder)
    if config.get("model_type") == MODEL_TYPE:
        return load_cross_attention(folder)
    return load_whole(folder) if config.get(WHOLE) else bert.load_encoder(folder)


def read_teacher_geometry(folder: Path, pooling: str = "") -> EncoderPreset:
    """The size of a checkpoint's encoder that is to be taken as it is."""
    if _read_config(folder).get("model_type") != MODEL_TYPE:
        return read_whole_geometry(folder, pooling)
    return geometry_of(CrossAttentionConfig.from_pretrained(folder))


def open_teacher_checkpoint(folder: Path, preset: EncoderPreset) -> Checkpoint:
    """The encoder and the vocabulary of a checkpoint as they are, whatever its layout."""
    if isinstance(preset, WholePreset):
        return open_whole(folder, preset)
    encoder = load_encoder(folder)
    report = LoadReport(came=tuple(encoder.state_dict()), new=(), unused=())
    return Checkpoint(encoder=encoder, tokenizer=load_vocabulary(folder), report=report)


def _read_config(folder: Path) -> dict[str, Any]:
    values: dict[str, Any] = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))
    return values
