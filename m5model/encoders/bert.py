"""The encoder in torch: built from a preset, saved as a Hugging Face checkpoint, loaded strictly.

Tensor suffixes: B rows, L tokens, D dimensions of a vector.
"""

import json
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import DistilBertConfig, DistilBertModel

from m5model.encoders.presets import EncoderPreset
from schemas.bundle import CONFIG_FILE, WEIGHTS_FILE
from schemas.errors import DamagedFileError


def encoder_config(preset: EncoderPreset, vocabulary_size: int) -> DistilBertConfig:
    """The Hugging Face configuration of ``preset`` with the vocabulary that there really is (tokens)."""
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


def build_encoder(preset: EncoderPreset, vocabulary_size: int | None = None, seed: int = 0) -> DistilBertModel:
    """A new encoder with weights that are a function of ``seed`` alone."""
    torch.manual_seed(seed)
    return DistilBertModel(encoder_config(preset, vocabulary_size or preset.vocabulary_size))


def count_parameters(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def pool(hidden_BLD: Tensor, mask_BL: Tensor) -> Tensor:
    """Mean over the tokens that the mask keeps, scaled to unit length: (B, D) float32.

    The sum is a product of matrices on purpose: onnxruntime's ReduceSum adds up in another order where there is one row
    only, its MatMul does not, so a text gets the same bytes alone and in a batch.
    """
    weight_B1L = mask_BL.to(torch.float32).unsqueeze(1)
    mean_BD = (weight_B1L @ hidden_BLD.float()).squeeze(1) / weight_B1L.sum(2)
    return mean_BD / torch.linalg.vector_norm(mean_BD, dim=-1, keepdim=True)


def sentence_vectors(encoder: DistilBertModel, ids_BL: Tensor, mask_BL: Tensor) -> Tensor:
    """Unit vectors (B, D) float32 of token ids (B, L) int64 and their mask (B, L), 1 where there is a token."""
    return pool(encoder(input_ids=ids_BL, attention_mask=mask_BL).last_hidden_state, mask_BL)


def save_encoder(folder: Path, encoder: DistilBertModel, max_tokens: int) -> None:
    """Write config.json and model.safetensors, and what sentence-transformers reads beside them."""
    encoder.config.architectures = [type(encoder).__name__]
    encoder.config.save_pretrained(folder)
    weights = {name: tensor.contiguous() for name, tensor in encoder.state_dict().items()}
    save_file(weights, folder / WEIGHTS_FILE, metadata={"format": "pt"})  # transformers refuses files without this format
    _write_sentence_transformers_files(folder, encoder.config.dim, max_tokens)


def load_encoder(folder: Path, attention: str = "sdpa") -> DistilBertModel:
    """The encoder of a checkpoint folder, in evaluation mode.

    ``attention`` is the implementation: "sdpa", or "eager" for export. Raises DamagedFileError naming every weight that
    is missing, unexpected or of another shape: from_pretrained would only warn, and start those from noise.
    """
    config = DistilBertConfig.from_pretrained(folder)
    encoder = DistilBertModel._from_config(config, attn_implementation=attention)
    load_weights(encoder, folder / WEIGHTS_FILE)
    return encoder.eval()


def load_weights(model: nn.Module, file: Path) -> None:
    """Fill ``model`` from a safetensors file whose names and shapes are exactly the model's; else DamagedFileError."""
    try:
        found = load_file(file)
    except (FileNotFoundError, SafetensorError) as error:
        raise DamagedFileError(f"cannot read weights: {file}: {error}", next_step="make the checkpoint again") from error
    problems = _mismatches(dict(model.state_dict()), found)
    if problems:
        raise DamagedFileError(
            f"{file} does not hold this model's weights: {'; '.join(problems)}",
            next_step=f"use the {CONFIG_FILE} that was saved with these weights, or weights that were saved with this one",
        )
    model.load_state_dict(found, strict=True)


def _mismatches(expected: dict[str, Tensor], found: dict[str, Tensor]) -> list[str]:
    problems = [f"missing {name}" for name in expected if name not in found]
    problems += [f"unexpected {name}" for name in found if name not in expected]
    for name in expected.keys() & found.keys():
        if expected[name].shape != found[name].shape:
            problems.append(f"{name} is {tuple(found[name].shape)}, expected {tuple(expected[name].shape)}")
    return sorted(problems)


def _write_sentence_transformers_files(folder: Path, dimensions: int, max_tokens: int) -> None:
    module = "sentence_transformers.models"
    modules = [
        {"idx": 0, "name": "0", "path": "", "type": f"{module}.Transformer"},
        {"idx": 1, "name": "1", "path": "1_Pooling", "type": f"{module}.Pooling"},
        {"idx": 2, "name": "2", "path": "2_Normalize", "type": f"{module}.Normalize"},
    ]
    pooling = {"word_embedding_dimension": dimensions, "pooling_mode_mean_tokens": True, "include_prompt": True}
    _write_json(folder / "modules.json", modules)
    _write_json(folder / "sentence_bert_config.json", {"max_seq_length": max_tokens, "do_lower_case": False})
    _write_json(folder / "1_Pooling" / "config.json", pooling)
    _write_json(folder / "2_Normalize" / "config.json", {})


def _write_json(file: Path, value: object) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
