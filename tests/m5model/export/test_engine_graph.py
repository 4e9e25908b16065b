import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from m5model.bundles.find import read_manifest
from m5model.export.engine_graph import ONNXRUNTIME, write_engine_graph
from m5model.export.parity import ParityThresholds, measure_parity, refuse_unless_equal
from m5model.export.quantization import quantize
from m5model.export.text_batches import TextBatch
from m5model.runtime.encoder import Encoder, open_session, read_model
from schemas.bundle import ONNX_ENGINE_FILE, ONNX_FP32_FILE, ONNX_INT8_FILE
from schemas.errors import ConfigurationError, GateRefusedError, M5Error

WORDS = ["red", "cotton", "shirt", "blue", "leather", "shoes", "赤い", "綿", "hemd", "größe", "42", "|", "🧦"]


@pytest.fixture
def folder(trained, tmp_path: Path) -> Path:
    """A copy of the student that a test may change."""
    return Path(shutil.copytree(trained.student_folder, tmp_path / "student"))


@pytest.mark.parametrize("rows", [1, 2, 5])
def test_the_engines_graph_gives_the_bytes_of_the_portable_one_at_every_length(trained, rows: int) -> None:
    draw = np.random.default_rng(rows)
    portable, engine = (
        open_session((trained.student_folder / name).read_bytes()) for name in (ONNX_INT8_FILE, ONNX_ENGINE_FILE)
    )
    for length in range(1, trained.student.max_tokens + 1):
        ids_BL = draw.integers(5, trained.student.vocabulary_size, (rows, length))
        expected = portable.run(None, {"input_ids": ids_BL, "attention_mask": np.ones_like(ids_BL)})[0]
        assert engine.run(None, {"input_ids": ids_BL})[0].tobytes() == expected.tobytes(), length


def test_the_engine_runs_its_own_graph_and_an_older_bundle_without_one_gives_the_same_vectors(folder: Path) -> None:
    manifest = read_manifest(str(folder))
    draw = np.random.default_rng(0)
    texts = [" ".join(draw.choice(WORDS, draw.integers(1, 90))) for _ in range(40)]
    own = read_model(folder, manifest, "int8")
    assert own.graph == (folder / ONNX_ENGINE_FILE).read_bytes()
    older = replace(manifest, files={name: entry for name, entry in manifest.files.items() if name != ONNX_ENGINE_FILE})
    portable = read_model(folder, older, "int8")
    assert portable.graph == (folder / ONNX_INT8_FILE).read_bytes()
    first, second = (Encoder(model).encode(texts) for model in (own, portable))
    assert first.tobytes() == second.tobytes()
    with pytest.raises(ConfigurationError, match="no int8 ONNX graph"):
        read_model(folder, replace(manifest, files={}), "int8")


def test_biases_are_in_the_products_and_only_merged_heads_are_copied(trained) -> None:
    graph = onnx.load(trained.student_folder / ONNX_ENGINE_FILE).graph
    layers = trained.student.layers
    kinds = Counter(node.op_type for node in graph.node)
    assert [entry.name for entry in graph.input] == ["input_ids"]
    assert kinds["MatMulIntegerToFloat"] == 6 * layers
    assert kinds["FusedMatMul"] == 2 * layers
    assert kinds["Add"] == 2 * layers + 1  # residuals, positions
    assert kinds["Transpose"] == layers + 3  # merged heads; ids, positions, pooled states
    assert kinds["DequantizeLinear"] == 0


def test_only_products_are_tied_to_onnxruntime(trained) -> None:
    graph = onnx.load(trained.student_folder / ONNX_ENGINE_FILE).graph
    assert {node.op_type for node in graph.node if node.domain == ONNXRUNTIME} == {"MatMulIntegerToFloat", "FusedMatMul"}
    portable = onnx.load(trained.student_folder / ONNX_INT8_FILE)
    assert {node.domain for node in portable.graph.node} == {""}


def test_the_same_int8_graph_gives_the_same_engine_graph(trained, tmp_path: Path) -> None:
    write_engine_graph(trained.student_folder / ONNX_INT8_FILE, tmp_path / "again.onnx")
    assert (tmp_path / "again.onnx").read_bytes() == (trained.student_folder / ONNX_ENGINE_FILE).read_bytes()


def test_the_gate_fires_where_the_engines_graph_lost_one_bias(folder: Path) -> None:
    graph = onnx.load(folder / ONNX_ENGINE_FILE)
    product = [node for node in graph.graph.node if node.op_type == "MatMulIntegerToFloat"][-1]
    bias = next(tensor for tensor in graph.graph.initializer if tensor.name == product.input[6])
    graph.graph.initializer.append(numpy_helper.from_array(np.zeros(bias.dims, np.float32), "no bias"))
    product.input[6] = "no bias"
    onnx.save_model(graph, folder / ONNX_ENGINE_FILE)
    ids_BL = np.random.default_rng(0).integers(5, 60, (16, 30))
    with pytest.raises(GateRefusedError, match=r"engine_vectors_differing 16 \(at most 0\)"):
        refuse_unless_equal(measure_parity(folder, [TextBatch(ids_BL, np.ones_like(ids_BL))]), ParityThresholds())


def test_a_dynamic_graph_is_refused(folder: Path, tmp_path: Path) -> None:
    quantize(folder / ONNX_FP32_FILE, tmp_path / "dynamic.onnx", "dynamic", [])
    with pytest.raises(M5Error, match="no product of dequantized weights"):
        write_engine_graph(tmp_path / "dynamic.onnx", tmp_path / "engine.onnx")


def read_softmax_twice(graph: onnx.GraphProto) -> None:
    graph.node.append(helper.make_node("Identity", [_first(graph, "Softmax").output[0]], ["second reader"]))


def lay_values_otherwise(graph: onnx.GraphProto) -> None:
    values = next(node for node in graph.node if node.op_type == "Transpose")
    values.attribute[0].CopyFrom(helper.make_attribute("perm", [2, 0, 1, 3]))


def add_what_depends_on_the_length_alone(graph: onnx.GraphProto) -> None:
    """As relative positions do: it is no mask, and may not be dropped as one."""
    masked = next(node for node in graph.node if node.output[0] == _first(graph, "Softmax").input[0])
    size = helper.make_node("Shape", ["attention_mask"], ["size"], end=1)
    graph.node.extend([size, helper.make_node("Cast", ["size"], ["term"], to=onnx.TensorProto.FLOAT)])
    masked.input[1] = "term"


def lose_a_zero_point(graph: onnx.GraphProto) -> None:
    del _first(graph, "DequantizeLinear").input[2]


def add_one_to_the_scores(graph: onnx.GraphProto) -> None:
    softmax = _first(graph, "Softmax")
    graph.initializer.append(numpy_helper.from_array(np.float32(1), "one"))
    graph.node.append(helper.make_node("Add", [softmax.input[0], "one"], ["one more"]))
    softmax.input[0] = "one more"


@pytest.mark.parametrize(
    ("change", "refusal"),
    [
        (read_softmax_twice, "is not read by one MatMul alone"),
        (lay_values_otherwise, r"lays axes as \[2, 0, 1, 3\], expected"),
        (add_what_depends_on_the_length_alone, "2 scores that .* masks, expected 1"),
        (lose_a_zero_point, "has no zero point"),
        (add_one_to_the_scores, "2 scores that .* masks, expected 1"),
    ],
)
def test_a_graph_that_is_laid_otherwise_is_refused_by_name(trained, tmp_path: Path, change, refusal: str) -> None:
    model = onnx.load(trained.student_folder / ONNX_INT8_FILE)
    change(model.graph)
    onnx.save_model(model, tmp_path / "changed.onnx")
    with pytest.raises(M5Error, match=refusal):
        write_engine_graph(tmp_path / "changed.onnx", tmp_path / "engine.onnx")
    assert not (tmp_path / "engine.onnx").exists()


def _first(graph: onnx.GraphProto, operator: str) -> onnx.NodeProto:
    return next(node for node in graph.node if node.op_type == operator)
