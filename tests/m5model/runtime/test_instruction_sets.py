"""Vectors recorded on one kind of machine, against this one's: a fleet may be mixed."""

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from benchmarks.instruction_sets import compare_with_recorded
from m5model.runtime.encoder import open_session
from m5model.runtime.instruction_set import instruction_set

INNER, OUTER = 768, 32  # of the product: the width of a student, a few columns


def test_this_machine_agrees_with_the_one_that_recorded() -> None:
    agreement = compare_with_recorded()
    assert agreement.min_cosine >= 0.9999
    if agreement.recorded_by == instruction_set():
        assert agreement.max_abs_diff < 1e-6


def test_the_largest_seven_bit_weights_do_not_saturate_here() -> None:
    weights = np.full((INNER, OUTER), 64, np.int8)
    weights[:, ::2] = -64
    activations = np.full((3, INNER), 255, np.uint8)
    assert (integer_product(activations, weights) == activations.astype(np.int32) @ weights.astype(np.int32)).all()


def integer_product(activations: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """As onnxruntime's kernels of this machine compute it: int32."""
    shape = [len(activations), INNER]
    graph = helper.make_graph(
        [helper.make_node("MatMulInteger", ["activations", "weights"], ["product"])],
        "product",
        [helper.make_tensor_value_info("activations", TensorProto.UINT8, shape)],
        [helper.make_tensor_value_info("product", TensorProto.INT32, [len(activations), OUTER])],
        [numpy_helper.from_array(weights, "weights")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    return open_session(model.SerializeToString()).run(None, {"activations": activations})[0]
