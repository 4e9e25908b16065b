"""The ONNX graphs of a student's checkpoint folder, released only through the gate."""

from functools import partial
from pathlib import Path

from m5model.export.engine_graph import write_engine_graph
from m5model.export.fp32 import export_fp32
from m5model.export.parity import ParityThresholds, is_near, measure_parity, refuse_unless_equal
from m5model.export.quantization import Precautions, Quantization, quantize
from m5model.export.text_batches import runtime_batches
from m5model.gates.evidence import state
from m5model.training.progress import say
from m5model.training.stages import Model
from schemas.bundle import ONNX_ENGINE_FILE, ONNX_FP32_FILE, ONNX_INT8_FILE
from schemas.errors import ConfigurationError
from schemas.figure import Figure

CALIBRATION_TEXTS = 512
GATE_TEXTS = 512


def export_student(
    folder: Path,
    model: Model,
    max_tokens: int,
    method: Quantization = "static",
    thresholds: ParityThresholds | None = None,
) -> tuple[Figure, ...]:
    """Write onnx/model.onnx and onnx/model_int8.onnx into the checkpoint folder; return the gate's figures.

    With static scales also onnx/model_int8_engine.onnx. Calibrates on rows to learn from, measures on held-out rows.
    Raises GateRefusedError below a threshold.
    """
    if model.learn is None or model.held_out is None:
        raise ConfigurationError("there is no text to calibrate on", next_step="give the recipe a vocabulary stage")
    thresholds = thresholds or ParityThresholds()
    export_fp32(folder, folder / ONNX_FP32_FILE)
    calibration = runtime_batches(model.learn, max_tokens, CALIBRATION_TEXTS)
    near = partial(is_near, thresholds)
    precautions = quantize(folder / ONNX_FP32_FILE, folder / ONNX_INT8_FILE, method, calibration, near)
    if method == "static":  # a dynamic graph has no products of dequantized weights
        write_engine_graph(folder / ONNX_INT8_FILE, folder / ONNX_ENGINE_FILE)
    if precautions.folded or precautions.left_out:
        say(f"export: outliers of {len(precautions.folded)} activations folded, products left fp32: {precautions.left_out}")
    parity = measure_parity(folder, runtime_batches(model.held_out, max_tokens, GATE_TEXTS))
    say(
        f"export: torch to fp32 differs by {parity.fp32_max_difference:.1e} at most, int8 cosine {parity.int8_mean_cosine:.5f} "
        f"(worst {parity.int8_min_cosine:.5f}), pairs correlate {parity.int8_pair_correlation:.4f}"
    )
    if parity.engine_vectors_differing is not None:
        say(f"export: the engine's graph gives other bytes to {parity.engine_vectors_differing} of {parity.texts} texts")
    return refuse_unless_equal(parity, thresholds) + _figures_of(precautions)


def _figures_of(precautions: Precautions) -> tuple[Figure, ...]:
    """States what was folded and left out: nothing of it refuses a student."""
    tensors = ", ".join(folding.tensor for folding in precautions.folded)
    return (
        state("int8_activations_folded", len(precautions.folded), tensors),
        state("int8_products_left_out", len(precautions.left_out), ", ".join(precautions.left_out)),
    )
