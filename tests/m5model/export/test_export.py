import random
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

import m5model
from m5model.data.set_versions import find_training_set
from m5model.data.token_rows import tokenize_rows
from m5model.data.training_sets import open_training_set
from m5model.data.vocabulary import load_vocabulary
from m5model.encoders.bert import load_encoder, save_encoder
from m5model.export.fp32 import export_fp32
from m5model.export.parity import Parity, ParityThresholds, figures_of, measure_parity, pair_correlation, refuse_unless_equal
from m5model.export.quantization import quantize
from m5model.export.text_batches import TextBatch, runtime_batches
from m5model.export.token_table import quantize_rows, quantize_token_table
from schemas.bundle import ONNX_ENGINE_FILE, ONNX_FILES, ONNX_FP32_FILE, ONNX_INT8_FILE
from schemas.errors import ConfigurationError, GateRefusedError, M5Error

GOOD = Parity(
    texts=9,
    fp32_max_difference=1e-6,
    int8_mean_cosine=0.999,
    int8_min_cosine=0.99,
    int8_pair_correlation=0.99,
    engine_vectors_differing=0,
)


@pytest.fixture(scope="module")
def held_out(trained) -> list[TextBatch]:
    training_set = open_training_set(find_training_set(trained.workspace, None))
    return runtime_batches(tokenize_rows(training_set.held_out, load_vocabulary(trained.student_folder), 128), 128, 64)


@pytest.fixture
def folder(trained, tmp_path: Path) -> Path:
    """A copy of the student that a test may break."""
    return Path(shutil.copytree(trained.student_folder, tmp_path / "student"))


def test_a_students_graphs_pass_the_gate(trained, held_out) -> None:
    refuse_unless_equal(measure_parity(trained.student_folder, held_out), ParityThresholds())


def test_the_gate_fires_where_fp32_is_of_other_weights(folder: Path, held_out) -> None:
    encoder = load_encoder(folder)
    encoder.transformer.layer[1].ffn.lin1.bias.data += 0.05
    save_encoder(folder, encoder, 128)
    with pytest.raises(GateRefusedError, match="fp32_max_difference"):
        refuse_unless_equal(measure_parity(folder, held_out), ParityThresholds())


def test_the_gate_fires_where_a_scale_of_the_int8_token_table_was_lost(folder: Path, held_out) -> None:
    graph = onnx.load(folder / ONNX_INT8_FILE)
    scale = next(tensor for tensor in graph.graph.initializer if tensor.name.endswith("word_embeddings.weight.scale"))
    scale.CopyFrom(numpy_helper.from_array(np.ones_like(numpy_helper.to_array(scale)), scale.name))
    onnx.save_model(graph, folder / ONNX_INT8_FILE)
    with pytest.raises(GateRefusedError, match="int8_pair_correlation"):
        refuse_unless_equal(measure_parity(folder, held_out), ParityThresholds())


@pytest.mark.parametrize(
    "figure",
    [
        {"fp32_max_difference": 2e-4},
        {"int8_mean_cosine": 0.98},
        {"int8_min_cosine": float("nan")},
        {"int8_pair_correlation": 0.9},
        {"engine_vectors_differing": 1},
    ],
)
def test_every_threshold_refuses_on_its_own_and_so_does_a_figure_that_is_no_number(figure: dict[str, float]) -> None:
    refuse_unless_equal(GOOD, ParityThresholds())
    with pytest.raises(GateRefusedError, match=next(iter(figure))):
        refuse_unless_equal(replace(GOOD, **figure), ParityThresholds())  # type: ignore[arg-type]


def test_thresholds_that_make_no_sense_are_all_named() -> None:
    with pytest.raises(ConfigurationError, match="int8_min_cosine is 2.*fp32_max_difference is -1.*differing is -2"):
        ParityThresholds(int8_min_cosine=2, fp32_max_difference=-1, engine_vectors_differing=-2)


def test_an_int8_vector_has_the_same_bytes_alone_and_in_any_batch(trained) -> None:
    draw = random.Random(4)
    words = ["red", "cotton", "shirt", "blue", "leather", "shoes", "赤い", "綿", "hemd", "größe", "42", "|", "🧦"]
    texts = [" ".join(draw.choices(words, k=draw.randint(1, 70))) for _ in range(60)]
    encoder = m5model.load(str(trained.student_folder))
    together = encoder.encode(texts)
    alone = np.concatenate([encoder.encode([text]) for text in texts])
    assert together.tobytes() == alone.tobytes()
    order = draw.sample(range(len(texts)), len(texts))
    in_two_threads = m5model.load(str(trained.student_folder), threads=2).encode([texts[i] for i in order] * 2)
    assert in_two_threads[: len(texts)].tobytes() == in_two_threads[len(texts) :].tobytes() == together[order].tobytes()


def test_vectors_have_unit_length_in_both_precisions(trained) -> None:
    for precision in ("int8", "fp32"):
        vectors_BD = m5model.load(str(trained.student_folder), precision=precision).encode(["red shirt", "[PAD]", "a" * 900])
        assert vectors_BD.dtype == np.float32
        assert np.linalg.norm(vectors_BD, axis=1) == pytest.approx(1, abs=1e-5)


def test_int8_takes_less_than_a_third_of_fp32(trained) -> None:
    files = trained.student.files
    assert int(files[ONNX_INT8_FILE]["bytes"]) < int(files[ONNX_FP32_FILE]["bytes"]) / 3


def test_weights_are_7_bits_per_channel_and_attention_products_stay_fp32(trained) -> None:
    graph = onnx.load(trained.student_folder / ONNX_INT8_FILE).graph
    tensors = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    producers = {name: node for node in graph.node for name in node.output}
    integer = [
        node
        for node in graph.node
        if node.op_type == "MatMul" and node.input[1] in producers and producers[node.input[1]].op_type == "DequantizeLinear"
    ]
    assert len(integer) == 6 * trained.student.layers
    for node in integer:
        weight, scale = (tensors[name] for name in producers[node.input[1]].input[:2])
        assert weight.dtype == np.int8
        assert np.abs(weight.astype(int)).max() <= 64
        assert scale.shape == weight.shape[1:]
    assert (
        Counter(node.op_type for node in graph.node)["MatMul"] - len(integer) == 2 * trained.student.layers + 1
    )  # attention, pooling


def test_residuals_and_layer_norms_read_no_8_bit_values(trained) -> None:
    graph = onnx.load(trained.student_folder / ONNX_INT8_FILE).graph
    dequantized = {node.output[0] for node in graph.node if node.op_type == "DequantizeLinear"}
    readers = {node.op_type for node in graph.node if dequantized & set(node.input)}
    assert readers == {"MatMul"}


def test_graphs_hold_their_weights_and_no_path_of_the_machine_that_made_them(trained) -> None:
    found = sorted(f"onnx/{path.name}" for path in (trained.student_folder / "onnx").iterdir())
    assert found == sorted(ONNX_FILES)
    for name in ONNX_FILES:
        content = (trained.student_folder / name).read_bytes()
        assert b"site-packages" not in content
        assert str(Path.cwd()).encode() not in content


def test_the_same_checkpoint_gives_the_same_graph_bytes(trained, tmp_path: Path) -> None:
    export_fp32(trained.student_folder, tmp_path / "again.onnx")
    assert (tmp_path / "again.onnx").read_bytes() == (trained.student_folder / ONNX_FP32_FILE).read_bytes()


def test_dynamic_int8_is_an_option_that_also_passes_the_gate(folder: Path, held_out) -> None:
    quantize(folder / ONNX_FP32_FILE, folder / ONNX_INT8_FILE, "dynamic", [])
    (folder / ONNX_ENGINE_FILE).unlink()
    kinds = {node.op_type for node in onnx.load(folder / ONNX_INT8_FILE).graph.node}
    assert "DynamicQuantizeLinear" in kinds
    parity = measure_parity(folder, held_out)
    refuse_unless_equal(parity, ParityThresholds())
    assert not [one for one in figures_of(parity, ParityThresholds()) if one.name.startswith("engine")]


def test_a_graph_without_a_token_table_is_refused() -> None:
    node = helper.make_node("Identity", ["input_ids"], ["out"])
    with pytest.raises(M5Error, match="no Gather of a token table"):
        quantize_token_table(helper.make_model(helper.make_graph([node], "g", [], [])))


def test_rows_of_the_token_table_are_off_by_half_a_step_at_most() -> None:
    table_VD = np.random.default_rng(1).normal(size=(50, 8)).astype(np.float32) * np.logspace(-4, 3, 50)[:, None].astype(
        np.float32
    )
    table_VD[7] = 0
    codes_VD, scales_V1 = quantize_rows(table_VD)
    assert codes_VD.dtype == np.int8
    assert (np.abs(codes_VD * scales_V1 - table_VD) <= scales_V1 * 0.501).all()
    assert (codes_VD[7] == 0).all()


def test_pair_correlation_ignores_rotation_and_sees_noise() -> None:
    draw = np.random.default_rng(3)
    vectors_BD = draw.normal(size=(40, 6))
    rotation_DD = np.linalg.qr(draw.normal(size=(6, 6)))[0]
    assert pair_correlation(vectors_BD, vectors_BD @ rotation_DD) == pytest.approx(1)
    assert abs(pair_correlation(vectors_BD, draw.normal(size=(40, 6)))) < 0.3
