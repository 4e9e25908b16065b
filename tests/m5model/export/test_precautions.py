"""What lets 8 bits suffice: folded outliers, rounding whose errors cancel, products left fp32."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from m5model.export.activations import Activation, observe
from m5model.export.left_out import quantized_products
from m5model.export.outliers import channel_scales, fold_outliers, products_by_activation
from m5model.export.parity import count_differing, onnx_vectors
from m5model.export.quantization import quantize
from m5model.export.rounding import round_matrix
from m5model.export.text_batches import TextBatch
from m5model.runtime.encoder import open_session
from schemas.bundle import ONNX_FP32_FILE

WEIGHT_CODES = 64


def _activation(values_NC: np.ndarray) -> Activation:
    return Activation(
        low_C=values_NC.min(axis=0), high_C=values_NC.max(axis=0), moments_CC=values_NC.T @ values_NC, sample_NC=values_NC
    )


def _values(rows: int, channels: int, seed: int) -> np.ndarray:
    """Channels that move together, as those of real texts do."""
    draw = np.random.default_rng(seed)
    mixed = draw.normal(size=(rows, channels)) @ draw.normal(size=(channels, channels)) / np.sqrt(channels)
    return (mixed + 0.3 * draw.normal(size=(rows, channels))).astype(np.float32)


def _two_products(matrix_CD: np.ndarray) -> onnx.ModelProto:
    """input (B, L, C) → GELU-like tensor read by a product and by an addition, as residuals do."""
    channels = matrix_CD.shape[0]
    nodes = [
        helper.make_node("Mul", ["x", "gain"], ["hidden"], "hidden"),
        helper.make_node("MatMul", ["hidden", "matrix"], ["product"], "product"),
        helper.make_node("Add", ["product", "hidden"], ["y"], "y"),
    ]
    gain = np.ones(channels, np.float32)
    gain[3] = 100.0
    weights = [numpy_helper.from_array(gain, "gain"), numpy_helper.from_array(matrix_CD, "matrix")]
    entry = helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["B", "L", channels])
    answer = helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, ["B", "L", channels])
    graph = helper.make_graph(nodes, "two", [entry], [answer], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


def test_a_folded_graph_gives_the_same_numbers_to_the_byte_and_others_read_the_tensor_as_it_was() -> None:
    values = _values(40, 16, 1)
    model = _two_products(_values(16, 16, 2))
    hidden = values.copy()
    hidden[:, 3] *= 100
    before = open_session(model.SerializeToString()).run(None, {"x": values[None]})[0]
    foldings = fold_outliers(model, {"hidden": _activation(hidden)})
    assert [folding.tensor for folding in foldings] == ["hidden"]
    assert foldings[0].error_after < foldings[0].error_before
    assert list(products_by_activation(model.graph)) == ["hidden.divided"]
    after = open_session(model.SerializeToString()).run(None, {"x": values[None]})[0]
    np.testing.assert_allclose(after, before, rtol=1e-6, atol=1e-4)


def test_scales_are_powers_of_two_and_channels_without_values_keep_theirs() -> None:
    values = _values(40, 8, 3)
    values[:, 5] = 0
    values[:, 2] *= 200
    scales_C = channel_scales(_activation(values), [_values(8, 4, 4)], 0.7)
    assert np.exp2(np.rint(np.log2(scales_C))).tolist() == scales_C.tolist()
    assert scales_C[5] == 1
    assert scales_C[2] == scales_C.max() > 8


def test_an_activation_without_outliers_is_left_as_it_is() -> None:
    model = _two_products(_values(16, 16, 2))
    assert (
        fold_outliers(model, {"hidden": _activation(np.random.default_rng(0).normal(size=(40, 16)).astype(np.float32))}) == ()
    )
    assert list(products_by_activation(model.graph)) == ["hidden"]


def test_rounding_keeps_to_the_steps_of_the_quantizer_and_loses_less_than_the_nearest_step() -> None:
    values, matrix = _values(400, 128, 5), _values(128, 24, 6)
    rounded = round_matrix(matrix, values.T @ values)
    steps = np.abs(matrix).max(axis=0) / WEIGHT_CODES
    codes = rounded / steps
    np.testing.assert_allclose(codes, np.rint(codes), atol=1e-3)
    assert np.abs(rounded).max(axis=0) == pytest.approx(np.abs(matrix).max(axis=0))
    nearest = np.rint(matrix / steps) * steps
    lost, lost_by_nearest = (np.square(values @ (each - matrix)).sum() for each in (rounded, nearest))
    assert lost < 0.6 * lost_by_nearest


def test_rounding_bears_channels_that_never_move_and_columns_of_zeros() -> None:
    values, matrix = _values(20, 64, 7), _values(64, 8, 8)
    values[:, :10] = 0
    matrix[:, 2] = 0
    rounded = round_matrix(matrix, values.T @ values)
    assert np.isfinite(rounded).all()
    assert not rounded[:, 2].any()


def test_moments_and_ranges_are_those_of_tokens_without_padding() -> None:
    model = _two_products(_values(16, 16, 2))
    model.graph.input[0].name = "x"
    values = _values(6, 16, 9).reshape(2, 3, 16)

    class Call(TextBatch):
        def feed(self) -> dict[str, np.ndarray]:
            return {"x": values}

    mask = np.asarray([[1, 1, 1], [1, 0, 0]])
    seen = observe(model, ["hidden"], [Call(mask, mask)])["hidden"]
    hidden = (values * np.where(np.arange(16) == 3, 100, 1))[mask.astype(bool)]
    np.testing.assert_allclose(seen.moments_CC, hidden.T @ hidden, rtol=1e-4)
    np.testing.assert_allclose(seen.high_C, hidden.max(axis=0), rtol=1e-6)


def _batches(count: int) -> list[TextBatch]:
    draw = np.random.default_rng(1)
    return [TextBatch(ids, np.ones_like(ids)) for ids in (draw.integers(5, 300, (4, 12)) for _ in range(count))]


def _near_after(times: int):
    """A judgement that is content at its ``times``-th question."""
    asked = []

    def is_near(_exact: np.ndarray, _quantized: np.ndarray) -> bool:
        asked.append(1)
        return len(asked) >= times

    return is_near


def test_products_are_left_out_one_by_one_until_the_vectors_are_near(trained, tmp_path) -> None:
    fp32 = trained.student_folder / ONNX_FP32_FILE
    whole = quantize(fp32, tmp_path / "whole.onnx", "static", _batches(3))
    some = quantize(fp32, tmp_path / "some.onnx", "static", _batches(3), _near_after(2))
    assert whole.left_out == ()
    assert len(some.left_out) == 1
    products = [len(quantized_products(onnx.load(tmp_path / f"{name}.onnx"))) for name in ("whole", "some")]
    assert products[0] - products[1] == 1
    exact, *others = (onnx_vectors(graph, _batches(3)) for graph in (fp32, tmp_path / "whole.onnx", tmp_path / "some.onnx"))
    lost = [float(np.square(vectors - exact).sum()) for vectors in others]
    assert lost[1] < lost[0]


def test_no_more_is_left_out_than_a_share_of_the_multiplications(trained, tmp_path) -> None:
    fp32 = trained.student_folder / ONNX_FP32_FILE
    found = quantize(fp32, tmp_path / "int8.onnx", "static", _batches(2), lambda _exact, _quantized: False)
    graph = onnx.load(fp32).graph
    sizes = {tensor.name: int(np.prod(tensor.dims)) for tensor in graph.initializer}
    products = [sizes[node.input[1]] for node in graph.node if node.op_type == "MatMul" and node.input[1] in sizes]
    left = sum(sizes[name.partition(".")[0]] for name in found.left_out)
    assert 0 < left <= 0.15 * sum(products)


def test_the_engines_graph_takes_products_that_stayed_fp32(trained, tmp_path) -> None:
    from m5model.export.engine_graph import write_engine_graph
    from m5model.runtime.encoder import run_graph

    int8, engine = tmp_path / "int8.onnx", tmp_path / "engine.onnx"
    quantize(trained.student_folder / ONNX_FP32_FILE, int8, "static", _batches(3), _near_after(2))
    write_engine_graph(int8, engine)
    ids = np.random.default_rng(3).integers(5, 300, (6, 9))
    vectors = [run_graph(open_session(graph.read_bytes()), ids, np.ones_like(ids)) for graph in (int8, engine)]
    assert count_differing(*vectors) == 0


def test_leaving_out_is_a_function_of_the_graphs_alone(trained, tmp_path: Path) -> None:
    fp32 = trained.student_folder / ONNX_FP32_FILE
    for name in ("one", "other"):
        quantize(fp32, tmp_path / f"{name}.onnx", "static", _batches(2), _near_after(3))
    assert (tmp_path / "one.onnx").read_bytes() == (tmp_path / "other.onnx").read_bytes()
