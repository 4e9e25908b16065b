"""An fp32 graph becomes an int8 graph: MatMul weights per channel, activations by calibration, the token table per row.

With static scales, outlier channels are folded into weights first (m5model.export.outliers), weights are rounded so that their
errors cancel (m5model.export.rounding), and products whose 8-bit form still moves the vectors too far stay fp32
(m5model.export.left_out).

Static scales make a vector a function of its text alone (a dynamic scale is taken over the whole batch). Weights use 7 bits
(``reduce_range``): u8 x s7 products never overflow the 16-bit sums of AVX2 machines without VNNI, where 8 bits saturate and
give other vectors, so a mixed fleet agrees.
"""

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import onnx
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_dynamic,
    quantize_static,
)

from m5model.export.activations import observe
from m5model.export.fp32 import forget_origin, quiet
from m5model.export.left_out import IsNear, always_near, leave_out_worst
from m5model.export.outliers import Folding, fold_outliers, products_by_activation
from m5model.export.rounding import round_weights
from m5model.export.text_batches import TextBatch
from m5model.export.token_table import quantize_token_table

Quantization = Literal["static", "dynamic"]
QUANTIZATIONS: tuple[Quantization, ...] = ("static", "dynamic")


class CalibrationBatches(CalibrationDataReader):
    """Batches of real texts, one by one, as the calibrator asks for them."""

    def __init__(self, batches: Sequence[TextBatch]) -> None:
        self._batches: Iterator[TextBatch] = iter(batches)

    def get_next(self) -> dict[str, np.ndarray] | None:
        batch = next(self._batches, None)
        return None if batch is None else batch.feed()


@dataclass(frozen=True, kw_only=True)
class Precautions:
    """States what was done so that 8 bits suffice."""

    folded: tuple[Folding, ...] = ()
    left_out: tuple[str, ...] = ()  # products that stay fp32, by the names of their weights


def quantize(
    source: Path,
    target: Path,
    method: Quantization,
    calibration: Sequence[TextBatch],
    is_near: IsNear = always_near,
) -> Precautions:
    """Write the int8 form of the fp32 graph ``source`` to ``target``. ``calibration`` is read by "static" alone.

    Attention products (MatMul of two activations), layer norms and positions stay fp32. So do the products that damage most,
    until the vectors of the calibration texts are near the exact ones: ``is_near(exact_BD, int8_BD)``.
    """
    model, precautions = _static(source, calibration, is_near) if method == "static" else (_dynamic(source), Precautions())
    quantize_token_table(model)
    forget_origin(model)
    target.parent.mkdir(parents=True, exist_ok=True)
    onnx.save_model(model, target)
    return precautions


def _static(source: Path, calibration: Sequence[TextBatch], is_near: IsNear) -> tuple[onnx.ModelProto, Precautions]:
    exact = onnx.load(source)
    activations = observe(exact, list(products_by_activation(exact.graph)), calibration)
    folded = fold_outliers(exact, activations)
    rounded = onnx.ModelProto()
    rounded.CopyFrom(exact)
    round_weights(rounded, activations)
    with tempfile.TemporaryDirectory(prefix="m5-quantize-") as folder, quiet("root"):
        unquantized, unfinished = Path(folder) / "rounded.onnx", Path(folder) / "matmul.onnx"
        onnx.save_model(rounded, unquantized)
        _quantize_matmuls(unquantized, unfinished, calibration)
        model = onnx.load(unfinished)
    _keep_residuals_exact(model.graph)
    return model, Precautions(folded=folded, left_out=leave_out_worst(model, exact, calibration, is_near))


def _dynamic(source: Path) -> onnx.ModelProto:
    with tempfile.TemporaryDirectory(prefix="m5-quantize-") as folder, quiet("root"):
        unfinished = Path(folder) / "matmul.onnx"
        quantize_dynamic(
            source, unfinished, op_types_to_quantize=["MatMul"], per_channel=True, reduce_range=True,
            weight_type=QuantType.QInt8, extra_options={"MatMulConstBOnly": True},
        )  # fmt: skip
        return onnx.load(unfinished)


def _quantize_matmuls(source: Path, target: Path, calibration: Sequence[TextBatch]) -> None:
    # Without a quantized output onnxruntime runs each MatMul as one MatMulIntegerToFloat: integer product, float result.
    quantize_static(
        source,
        target,
        CalibrationBatches(calibration),
        quant_format=QuantFormat.QDQ,
        op_types_to_quantize=["MatMul"],
        nodes_to_exclude=_products_of_activations(source),
        per_channel=True,
        reduce_range=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        extra_options={"OpTypesToExcludeOutputQuantization": ["MatMul"]},
    )


def _products_of_activations(source: Path) -> list[str]:
    """Names of the MatMuls that hold no weights: the attention's. (MatMulConstBOnly does this for dynamic int8 alone.)"""
    graph = onnx.load(source).graph
    weights = {tensor.name for tensor in graph.initializer}
    return [node.name for node in graph.node if node.op_type == "MatMul" and node.input[1] not in weights]


def _keep_residuals_exact(graph: onnx.GraphProto) -> None:
    """Give the 8-bit form of an activation to MatMuls alone: residuals and layer norms read the fp32 tensor that it is of.

    The quantizer gives it to every reader, which costs precision (cosine .9975 against .9999 on the tiny preset) and time.
    """
    quantized = {node.output[0]: node.input[0] for node in graph.node if node.op_type == "QuantizeLinear"}
    exact = {
        node.output[0]: quantized[node.input[0]]
        for node in graph.node
        if node.op_type == "DequantizeLinear" and node.input[0] in quantized
    }
    for node in graph.node:
        if node.op_type != "MatMul":
            node.input[:] = [exact.get(name, name) for name in node.input]
