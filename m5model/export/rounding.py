"""Weights are rounded to 7 bits so that the errors of one channel are made good by the channels after it.

The nearest code is the best for each weight alone, not for the product: channels of real texts move together, so what one
weight loses others can give back. Channel by channel, the error of rounding is spread over the channels that are not rounded
yet, as the second moments of the activations say. Each column keeps its scale, for its largest weight keeps its code.
Source: GPTQ (Frantar et al. 2023).

Tensor suffixes: C channels read, D channels made.
"""

from collections.abc import Mapping

import numpy as np
import onnx
from onnx import numpy_helper

from m5model.export.activations import Activation
from m5model.export.outliers import WEIGHT_CODES, products_by_activation

DAMPING = 0.01  # of the mean second moment, added to all: calibration texts are a sample
BLOCK = 96  # channels whose errors are spread among themselves before the rest sees them; changes speed alone


def round_weights(model: onnx.ModelProto, activations: Mapping[str, Activation]) -> None:
    """Replace the weights of all products, in place, by values that the quantizer represents exactly.

    ``activations`` are those that the products read, by name.
    """
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    for tensor, products in products_by_activation(model.graph).items():
        spread_CC = _spread(activations[tensor].moments_CC)
        for product in products:
            matrix_CD = numpy_helper.to_array(weights[product.input[1]])
            weights[product.input[1]].CopyFrom(numpy_helper.from_array(_round(matrix_CD, spread_CC), product.input[1]))


def round_matrix(matrix_CD: np.ndarray, moments_CC: np.ndarray) -> np.ndarray:
    """The matrix (C, D) float32 in 2 * WEIGHT_CODES + 1 steps per column, for activations of these second moments."""
    return _round(matrix_CD, _spread(moments_CC))


def _spread(moments_CC: np.ndarray) -> np.ndarray:
    """Upper triangle: row i says, divided by its first entry, how an error in channel i is spread over those behind it."""
    size = len(moments_CC)
    damped_CC = moments_CC.astype(np.float64)
    damped_CC += np.eye(size) * max(DAMPING * np.trace(damped_CC) / size, np.finfo(np.float32).tiny)
    upper_CC: np.ndarray = np.linalg.cholesky(np.linalg.inv(damped_CC)).T.astype(np.float32)
    return upper_CC


def _round(matrix_CD: np.ndarray, spread_CC: np.ndarray) -> np.ndarray:
    steps_D = np.abs(matrix_CD).max(axis=0) / WEIGHT_CODES
    steps_D = np.where(steps_D == 0, 1, steps_D).astype(np.float32)
    largest_D = np.abs(matrix_CD).argmax(axis=0)
    left_CD = matrix_CD.astype(np.float32).copy()
    rounded_CD = np.empty_like(left_CD)
    for start in range(0, len(left_CD), BLOCK):
        stop = min(start + BLOCK, len(left_CD))
        errors_BD = np.empty((stop - start, left_CD.shape[1]), np.float32)
        for row in range(start, stop):
            source_D = np.where(largest_D == row, matrix_CD[row], left_CD[row])
            rounded_CD[row] = np.clip(np.rint(source_D / steps_D), -WEIGHT_CODES, WEIGHT_CODES) * steps_D
            errors_BD[row - start] = (left_CD[row] - rounded_CD[row]) / spread_CC[row, row]
            left_CD[row + 1 : stop] -= np.outer(spread_CC[row, row + 1 : stop], errors_BD[row - start])
        left_CD[stop:] -= spread_CC[start:stop, stop:].T @ errors_BD
    return rounded_CD
