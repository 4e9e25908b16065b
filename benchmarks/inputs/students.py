"""A student of any preset with random weights and a real vocabulary: speed does not depend on what a model has learned."""

from pathlib import Path

import numpy as np
import torch

from m5model.bundles.draft import BundleDraft
from m5model.bundles.publish import publish_bundle
from m5model.data.vocabulary import save_vocabulary, train_vocabulary
from m5model.encoders.bert import build_encoder, save_encoder
from m5model.encoders.encoder import TextEncoder
from m5model.encoders.presets import EncoderPreset, get_preset
from m5model.export.engine_graph import write_engine_graph
from m5model.export.fp32 import export_fp32
from m5model.export.quantization import quantize
from m5model.export.text_batches import TextBatch
from m5model.files.staging import staging_folder
from m5model.runtime.encoder import ModelBytes
from m5model.runtime.rendering import DEFAULT_RENDERING
from schemas.bundle import ONNX_ENGINE_FILE, ONNX_FP32_FILE, ONNX_INT8_FILE, TOKENIZER_FILE, BundleManifest
from schemas.workspace import Workspace

CALIBRATION_CALLS = 8
BIAS_DEVIATION = 0.02  # as weights are drawn


def make_student(folder: Path, named: str | EncoderPreset, texts: list[str]) -> ModelBytes:
    """Write checkpoint, vocabulary (learned from ``texts``) and the ONNX graphs of a preset into ``folder``."""
    preset = get_preset(named) if isinstance(named, str) else named
    tokenizer = train_vocabulary(texts, preset.vocabulary_size)
    save_vocabulary(folder, tokenizer, preset.max_tokens)
    save_encoder(folder, random_encoder(preset), preset.max_tokens)
    (folder / ONNX_FP32_FILE).parent.mkdir(exist_ok=True)
    export_fp32(folder, folder / ONNX_FP32_FILE)
    rng = np.random.default_rng(0)
    ids = [rng.integers(5, tokenizer.get_vocab_size(), (8, 32)) for _ in range(CALIBRATION_CALLS)]
    quantize(folder / ONNX_FP32_FILE, folder / ONNX_INT8_FILE, "static", [TextBatch(i, np.ones_like(i)) for i in ids])
    write_engine_graph(folder / ONNX_INT8_FILE, folder / ONNX_ENGINE_FILE)
    return ModelBytes(
        graph=(folder / ONNX_ENGINE_FILE).read_bytes(),
        tokenizer=(folder / TOKENIZER_FILE).read_bytes(),
        max_tokens=preset.max_tokens,
        hidden_size=preset.hidden_size,
        space_id=f"benchmark-{preset.name}",
        rendering=DEFAULT_RENDERING,
    )


def export_fp32_graph(folder: Path, preset: EncoderPreset) -> Path:
    """The fp32 graph of a preset with random weights and no vocabulary: for calls with random ids."""
    folder.mkdir(exist_ok=True)
    save_encoder(folder, random_encoder(preset), preset.max_tokens)
    export_fp32(folder, folder / "fp32.onnx")
    return folder / "fp32.onnx"


def quantize_graph(fp32: Path, preset: EncoderPreset) -> tuple[Path, Path]:
    """The static int8 graph of ``export_fp32_graph``'s, and the engine's form of it, both beside it."""
    static, engine = (fp32.with_name(f"{name}.onnx") for name in ("static", "engine"))
    quantize(fp32, static, "static", [random_batch(preset, 8, 32, seed) for seed in range(1, 1 + CALIBRATION_CALLS)])
    write_engine_graph(static, engine)
    return static, engine


def random_batch(preset: EncoderPreset, rows: int, tokens: int, seed: int) -> TextBatch:
    """Random ids, nothing padded."""
    ids_BL = np.random.default_rng(seed).integers(5, preset.vocabulary_size, (rows, tokens))
    return TextBatch(ids_BL, np.ones_like(ids_BL))


def random_encoder(preset: EncoderPreset) -> TextEncoder:
    """Random weights, and random biases where a new encoder's are zero: an export that lost one would show."""
    encoder = build_encoder(preset)
    draw = torch.Generator().manual_seed(0)
    for parameter in encoder.parameters():
        if parameter.ndim == 1:
            parameter.data += torch.randn(parameter.shape, generator=draw) * BIAS_DEVIATION
    return encoder


def publish_student(workspace: Workspace, preset_name: str, texts: list[str]) -> BundleManifest:
    """``make_student``'s folder as a bundle of the workspace, for jobs that want one."""
    preset = get_preset(preset_name)
    with staging_folder(workspace) as folder:
        make_student(folder, preset_name, texts)
        draft = BundleDraft(
            kind="student",
            preset=preset_name,
            parameters=0,
            hidden_size=preset.hidden_size,
            layers=preset.layers,
            vocabulary_size=preset.vocabulary_size,
            max_tokens=preset.max_tokens,
            quantization="int8-static",
        )
        return publish_bundle(workspace, folder, draft)
