"""Outlier channels of an activation are folded into the weights that read it, where that makes the 8-bit product more exact.

One scale holds for all channels of an activation, so a channel of 50 leaves few of the 256 codes to those of 0.5. Here

    x W  =  (x / t) (t W)

with a power of two per channel as t, so that both sides are the same numbers. What the activation gains its weights lose;
the exponent that shares the difficulty between them is the one that measures best on real texts, tensor by tensor, and a
tensor that gains less than a tenth stays as it is. Source: SmoothQuant (Xiao et al. 2023).

Tensor suffixes: N tokens, C channels read, D channels made.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import helper, numpy_helper

from m5model.export.activations import Activation
from m5model.export.pruning import drop_unread

EXPONENTS = (0.5, 0.6, 0.7, 0.8, 0.9)
WORTH = 0.9  # of the error without folding: above it the multiplication is not worth its time
ACTIVATION_CODES = 255  # unsigned 8 bits
WEIGHT_CODES = 64  # signed 7 bits, see m5model.export.quantization


@dataclass(frozen=True, kw_only=True)
class Folding:
    """One activation whose channels were scaled."""

    tensor: str
    exponent: float
    error_before: float  # relative squared error of its products in 8 bits
    error_after: float


def fold_outliers(model: onnx.ModelProto, activations: dict[str, Activation]) -> tuple[Folding, ...]:
    """Rewrite the fp32 graph in place, to an equal one; return what was folded.

    ``activations`` are those that products read, by name; those that the products read from now on are added.
    """
    readers = products_by_activation(model.graph)
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    foldings = []
    for tensor, products in readers.items():
        matrices = [numpy_helper.to_array(weights[product.input[1]]) for product in products]
        folding, scales_C = _best(tensor, activations[tensor], matrices)
        if scales_C is not None:
            divided = _scale(model.graph, tensor, products, scales_C)
            activations[divided] = activations[tensor].divided(scales_C)
            foldings.append(folding)
    drop_unread(model.graph)
    return tuple(foldings)


def products_by_activation(graph: onnx.GraphProto) -> dict[str, list[onnx.NodeProto]]:
    """Activation → the products with weights that read it."""
    weights = {tensor.name for tensor in graph.initializer}
    readers: dict[str, list[onnx.NodeProto]] = {}
    for node in graph.node:
        if node.op_type == "MatMul" and node.input[1] in weights:
            readers.setdefault(node.input[0], []).append(node)
    return readers


def _best(tensor: str, activation: Activation, matrices: Sequence[np.ndarray]) -> tuple[Folding, np.ndarray | None]:
    """The folding that measures best, and its scales; None as scales where none is worth it."""
    ones_C = np.ones_like(activation.high_C)
    before = product_error(activation, matrices, ones_C)
    tried = {exponent: channel_scales(activation, matrices, exponent) for exponent in EXPONENTS}
    errors = {exponent: product_error(activation, matrices, scales_C) for exponent, scales_C in tried.items()}
    exponent = min(errors, key=lambda each: errors[each])
    folding = Folding(tensor=tensor, exponent=exponent, error_before=before, error_after=errors[exponent])
    return folding, tried[exponent] if errors[exponent] < WORTH * before else None


def channel_scales(activation: Activation, matrices: Sequence[np.ndarray], exponent: float) -> np.ndarray:
    """t (C,) float32, powers of two: (largest of the activation)^exponent / (largest of the weights)^(1 - exponent)."""
    weights_C = np.max([np.abs(matrix_CD).max(axis=1) for matrix_CD in matrices], axis=0)
    moved = (activation.largest_C > 0) & (weights_C > 0)
    activation_C, weights_C = np.where(moved, activation.largest_C, 1), np.where(moved, weights_C, 1)
    exact_C = exponent * np.log2(activation_C) - (1 - exponent) * np.log2(weights_C)
    # A common factor changes nothing: with the middle at 1, channels without outliers keep their size.
    return np.exp2(np.where(moved, np.rint(exact_C - np.median(exact_C)), 0)).astype(np.float32)


def product_error(activation: Activation, matrices: Sequence[np.ndarray], scales_C: np.ndarray) -> float:
    """Squared error of the products in 8 bits, relative to their squares, with the activation divided by the scales."""
    exact_NC = activation.sample_NC / scales_C
    codes_NC = _quantized_activation(exact_NC, (activation.low_C / scales_C).min(), (activation.high_C / scales_C).max())
    wrong = total = 0.0
    for matrix_CD in matrices:
        scaled_CD = matrix_CD * scales_C[:, None]
        product_ND = exact_NC @ scaled_CD
        wrong += float(np.square(codes_NC @ _quantized_weights(scaled_CD) - product_ND).sum())
        total += float(np.square(product_ND).sum())
    return wrong / max(total, float(np.finfo(np.float32).tiny))


def _quantized_activation(values_NC: np.ndarray, lowest: float, highest: float) -> np.ndarray:
    low, high = float(min(lowest, 0.0)), float(max(highest, 0.0))
    step = (high - low) / ACTIVATION_CODES or 1.0
    zero = np.rint(-low / step)
    return (np.clip(np.rint(values_NC / step) + zero, 0, ACTIVATION_CODES) - zero) * step


def _quantized_weights(matrix_CD: np.ndarray) -> np.ndarray:
    steps_D = np.abs(matrix_CD).max(axis=0) / WEIGHT_CODES
    steps_D = np.where(steps_D == 0, 1, steps_D)
    return np.clip(np.rint(matrix_CD / steps_D), -WEIGHT_CODES, WEIGHT_CODES - 1) * steps_D


def _scale(graph: onnx.GraphProto, tensor: str, products: Sequence[onnx.NodeProto], scales_C: np.ndarray) -> str:
    """Divide what the products read and multiply their weights; return the name of what they read now.

    Others that read the tensor read it as it was.
    """
    divided, factor = f"{tensor}.divided", f"{tensor}.factor"
    weights = {entry.name: entry for entry in graph.initializer}
    for product in products:
        name = f"{product.input[1]}.{tensor}"
        matrix_CD = numpy_helper.to_array(weights[product.input[1]]) * scales_C[:, None]
        graph.initializer.append(numpy_helper.from_array(matrix_CD, name))
        product.input[:] = [divided, name]
    graph.initializer.append(numpy_helper.from_array(1 / scales_C, factor))
    position = min(index for index, node in enumerate(graph.node) if node.output[0] in {each.output[0] for each in products})
    graph.node.insert(position, helper.make_node("Mul", [tensor, factor], [divided], divided))
    return divided
