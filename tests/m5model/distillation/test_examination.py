"""The gate of a finished student refuses what is broken, and says which figure, which texts and which gate would do."""

import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper

from m5model.data.set_versions import find_training_set
from m5model.data.token_rows import TokenRows, tokenize_rows
from m5model.data.training_sets import open_training_set
from m5model.data.vocabulary import load_vocabulary
from m5model.distillation.agreement import Judged, judge_agreement
from m5model.distillation.examination import Examination, Labels, examine, refuse_unless_passed
from m5model.distillation.independence import count_dependent
from m5model.distillation.labelled_pairs import ScoredPairs, judge_scores
from m5model.distillation.subject import Subject
from m5model.distillation.teachers import Teachers, open_teacher
from m5model.distillation.thresholds import Agreement, Cost, Pairs, StudentGate, read_gate
from m5model.encoders.bert import build_encoder, save_encoder
from m5model.encoders.presets import TINY
from m5model.export.fp32 import export_fp32
from m5model.export.quantization import quantize
from m5model.export.text_batches import runtime_batches
from m5model.gates.intervals import bootstrap
from m5model.gates.metrics import recall_at, roc_auc
from m5model.training.config import Machine
from m5model.training.stages import Model
from schemas.bundle import ONNX_ENGINE_FILE, ONNX_FP32_FILE, ONNX_INT8_FILE
from schemas.errors import ConfigurationError, GateRefusedError

GATE = StudentGate(agreement=Agreement(min_correlation=0.95))


@pytest.fixture(scope="module")
def deep(trained, tmp_path_factory) -> tuple[Path, Model, Teachers]:
    """A student whose vectors depend on its layers, which tiny trainings do not reach, and itself as the teacher."""
    folder = tmp_path_factory.mktemp("deep")
    shutil.copytree(trained.student_folder, folder, dirs_exist_ok=True)
    training_set = open_training_set(find_training_set(trained.workspace, None))
    opened = open_teacher(str(trained.student_folder), Machine(threads=1))
    for parameter in opened.encoder.transformer.parameters():
        if parameter.dim() == 2:
            parameter.data *= 2
    save_encoder(folder, opened.encoder, 128)
    tokenizer = load_vocabulary(folder)
    held_out, learn = (tokenize_rows(rows, tokenizer, 128) for rows in (training_set.held_out, training_set.learn))
    export_fp32(folder, folder / ONNX_FP32_FILE)
    quantize(folder / ONNX_FP32_FILE, folder / ONNX_INT8_FILE, "static", runtime_batches(learn, 128, 64))
    (folder / ONNX_ENGINE_FILE).unlink()
    model = Model(tokenizer=tokenizer, held_out=held_out, learn=learn)
    return folder, model, Teachers(opened=(opened,), training_set=training_set, outputs=str(folder / "outputs"))


@pytest.fixture
def taught_by_itself(deep, tmp_path) -> tuple[Path, Model, Teachers]:
    """What it is measured against is known: the teacher has the student's weights."""
    folder, model, teachers = deep
    shutil.copytree(folder, tmp_path / "student")
    return tmp_path / "student", model, teachers


def _examine(folder: Path, model: Model, teachers: Teachers, gate: StudentGate = GATE) -> Examination:
    subject = Subject(folder=folder, tokenizer=model.tokenizer, held_out=model.held_out, teachers=teachers, max_tokens=128)
    return examine(subject, gate, Labels())


def test_a_student_that_gives_its_teachers_vectors_passes(taught_by_itself) -> None:
    examination = _examine(*taught_by_itself)
    refuse_unless_passed(examination, ["itself"])
    agreement = examination.figures[0]
    assert agreement.name == "agreement"
    assert 0.95 < agreement.low <= agreement.value <= agreement.high <= 1


def _double_scales(folder: Path) -> None:
    model = onnx.load(folder / ONNX_INT8_FILE)
    scales = {node.input[1] for node in model.graph.node if node.op_type == "DequantizeLinear"}
    for index, tensor in enumerate(model.graph.initializer):
        if tensor.name in scales and tensor.dims:
            model.graph.initializer[index].CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor) * 2, tensor.name))
    onnx.save(model, folder / ONNX_INT8_FILE)


def test_doubled_int8_scales_are_refused(taught_by_itself) -> None:
    folder, model, teachers = taught_by_itself
    _double_scales(folder)
    with pytest.raises(GateRefusedError, match=r"(?s)falls short of itself.*agreement .*at least 0.95"):
        refuse_unless_passed(_examine(folder, model, teachers), ["itself"])


def test_a_swapped_vocabulary_is_refused(taught_by_itself) -> None:
    folder, model, teachers = taught_by_itself
    ids = model.held_out.dataset["ids"][:]
    swapped = [
        [token if token < 5 else 5 + (token * 7) % (model.tokenizer.get_vocab_size() - 5) for token in row] for row in ids
    ]
    dataset = model.held_out.dataset.remove_columns("ids").add_column("ids", swapped)
    rows = TokenRows(dataset, model.held_out.lengths, model.held_out.keys, model.held_out.columns)
    with pytest.raises(GateRefusedError, match="agreement"):
        refuse_unless_passed(_examine(folder, Model(tokenizer=model.tokenizer, held_out=rows), teachers), ["itself"])


def test_a_student_trained_on_nothing_is_refused(taught_by_itself) -> None:
    folder, model, teachers = taught_by_itself
    save_encoder(folder, build_encoder(TINY, model.tokenizer.get_vocab_size(), seed=9), 128)
    export_fp32(folder, folder / ONNX_FP32_FILE)
    quantize(folder / ONNX_FP32_FILE, folder / ONNX_INT8_FILE, "static", runtime_batches(model.learn, 128, 64))
    with pytest.raises(GateRefusedError, match="agreement"):
        refuse_unless_passed(_examine(folder, model, teachers), ["itself"])


def test_a_refusal_shows_the_worst_texts_and_a_gate_that_would_do(taught_by_itself, tmp_path) -> None:
    folder, model, teachers = taught_by_itself
    _double_scales(folder)
    with pytest.raises(GateRefusedError) as refusal:
        refuse_unless_passed(_examine(folder, model, teachers), ["itself"])
    text = str(refusal.value)
    assert any(row["text"][:40] in text for row in teachers.training_set.held_out)
    nearest = tmp_path / "gate.toml"
    nearest.write_text(text[text.index("  [agreement]") :])
    refuse_unless_passed(_examine(folder, model, teachers, read_gate(str(nearest))), ["itself"])


def _texts(worse: str | None) -> Judged:
    """40 texts of each of four languages, the student near its teacher but in one."""
    draw = np.random.default_rng(0)
    language = np.repeat(["de", "en", "fr", "ja"], 40)
    teacher = draw.normal(size=(160, 16))
    student = teacher + draw.normal(size=(160, 16)) * np.where(language == worse, 2.0, 0.1)[:, None]
    unit = [vectors / np.linalg.norm(vectors, axis=1, keepdims=True) for vectors in (student, teacher)]
    return Judged(text=["text"] * 160, language=language, student_BD=unit[0], teacher_BE=unit[1])


def test_a_student_that_is_worse_in_japanese_alone_is_refused_for_japanese_alone() -> None:
    gate = Agreement(min_correlation=0.5)
    assert all(verdict.figure.holds for verdict in judge_agreement(_texts(None), gate))
    failed = [verdict.figure.name for verdict in judge_agreement(_texts("ja"), gate) if not verdict.figure.holds]
    assert failed == ["agreement_ja"]
    lenient = Agreement(min_correlation=0.5, languages={"ja": {"min_correlation": 0}})
    assert all(verdict.figure.holds for verdict in judge_agreement(_texts("ja"), lenient))


def test_a_language_that_is_judged_the_other_way_round_is_refused_though_it_is_the_only_one() -> None:
    teacher = np.repeat(np.eye(2, 16), 12, axis=0)  # twelve texts of each of two kinds
    student = np.tile(np.eye(12, 16), (2, 1))  # each text is like one of the other kind
    texts = Judged(text=["text"] * 24, language=np.asarray(["de"] * 24), student_BD=student, teacher_BE=teacher)
    failed = [one for one in judge_agreement(texts, Agreement(min_correlation=-1)) if not one.figure.holds]
    assert [one.figure.name for one in failed] == ["agreement_de"]
    assert failed[0].figure.threshold == 0
    allowed = Agreement(min_correlation=-1, language_slack=failed[0].passing + 1e-4)  # a gate file has four places
    assert all(one.figure.holds for one in judge_agreement(texts, allowed))


def test_labelled_pairs_refuse_a_language_only_where_the_interval_shows_a_gap() -> None:
    draw = np.random.default_rng(1)
    is_match = np.tile([True, False], 200)
    language = np.repeat(["ja", "de"], 200)
    teacher = is_match + draw.normal(size=400) * 0.3
    noise = np.where(language == "ja", 2.0, 0.01)
    pairs = ScoredPairs(
        is_match=is_match,
        entity=np.arange(400),
        language=language,
        student=teacher + draw.normal(size=400) * noise,
        teacher=teacher,
    )
    verdicts = {one.figure.name: one.figure for one in judge_scores(pairs, Pairs(), "set")}
    for figure in ("pairs_average_precision_gap", "pairs_roc_auc_gap"):
        assert not verdicts[f"{figure}_ja"].holds
        assert verdicts[f"{figure}_de"].holds
        assert verdicts[f"{figure}_de"].low < verdicts[f"{figure}_ja"].low
    lenient = Pairs(languages={"ja": {"max_language_gap": 1, "max_language_roc_auc_gap": 1}})
    assert all(one.figure.holds for one in judge_scores(pairs, lenient, "set") if one.figure.name[-2:] == "ja")


def test_a_graph_whose_bytes_depend_on_what_shares_its_call_is_refused(taught_by_itself) -> None:
    folder, model, teachers = taught_by_itself
    independent = _examine(folder, model, teachers)
    assert _figure(independent, "batch_vectors_differing").value == 0
    quantize(folder / ONNX_FP32_FILE, folder / ONNX_INT8_FILE, "dynamic", [])
    with pytest.raises(GateRefusedError, match=r"(?s)batch_vectors_differing .*at most 0.*max_vectors_differing = "):
        refuse_unless_passed(_examine(folder, model, teachers), ["itself"])


def test_the_engines_graph_is_the_one_whose_calls_are_compared(trained, taught_by_itself) -> None:
    folder, model, _ = taught_by_itself
    texts = model.held_out.dataset[:8]["ids"]
    quantize(folder / ONNX_FP32_FILE, folder / ONNX_ENGINE_FILE, "dynamic", [])
    assert count_dependent(folder, texts) > 0
    assert count_dependent(trained.student_folder, texts) == 0


def _figure(examination: Examination, name: str):
    return next(figure for figure in examination.figures if figure.name == name)


def test_costs_are_stated_and_refuse_only_where_a_limit_is_given(taught_by_itself) -> None:
    free = {verdict.figure.name: verdict.figure for verdict in _examine(*taught_by_itself).verdicts}
    assert free["ms_at_32_tokens"].value > 0
    assert "ms_at_512_tokens" not in free
    tight = StudentGate(cost=Cost(max_int8_mb=0.001))
    with pytest.raises(GateRefusedError, match=r"(?s)int8_mb .*at most 0.001.*max_int8_mb = "):
        refuse_unless_passed(_examine(*taught_by_itself, tight), ["itself"])


def test_a_student_that_is_not_quick_enough_beside_its_teacher_is_refused(taught_by_itself) -> None:
    hasty = StudentGate(cost=Cost(min_times_quicker_at_32_tokens=1e6))
    examination = _examine(*taught_by_itself, hasty)
    ratio = _figure(examination, "times_quicker_at_32_tokens")
    assert 0 < ratio.low <= ratio.value <= ratio.high
    with pytest.raises(GateRefusedError, match=r"(?s)times_quicker_at_32_tokens .*at least 1e\+06.*min_times_quicker_at_32"):
        refuse_unless_passed(examination, ["itself"])


def test_a_gate_file_changes_what_it_names_and_refuses_what_there_is_not(tmp_path) -> None:
    file = tmp_path / "gate.toml"
    file.write_text("[pairs]\nmax_roc_auc_gap = 0.008\n")
    assert read_gate(str(file)) == StudentGate(pairs=Pairs(max_roc_auc_gap=0.008))
    for text, problem in [
        ("[pairs]\nmax_gap = 1\n[speed]\nx = 1\n", r"\[pairs\] has no max_gap.*there is no \[speed\]"),
        ("[agreement]\nmin_correlation = 3\n", "min_correlation is 3"),
        ("[agreement]\nmin_correlation = 'high'\n", "min_correlation"),
        ("[pairs.languages.ja]\nmax_gap = 1\n[pairs.languages.xx]\n", r"no language 'xx'.*languages.ja\] has no max_gap"),
        ("[agreement\n", "no TOML"),
    ]:
        file.write_text(text)
        with pytest.raises(ConfigurationError, match=problem):
            read_gate(str(file))
    with pytest.raises(ConfigurationError, match="no gate file"):
        read_gate(str(tmp_path / "none.toml"))


def test_an_interval_counts_products_not_rows() -> None:
    values = np.repeat(np.random.default_rng(0).normal(size=20), 50)
    alone = bootstrap(lambda rows: float(values[rows].mean()), np.arange(1000))
    together = bootstrap(lambda rows: float(values[rows].mean()), np.repeat(np.arange(20), 50))
    assert together.high - together.low > 3 * (alone.high - alone.low)


def test_metrics_of_pairs_are_those_of_their_definition() -> None:
    scores, is_match = np.asarray([0.9, 0.8, 0.8, 0.1]), np.asarray([True, True, False, False])
    assert roc_auc(scores, is_match) == pytest.approx(3.5 / 4)
    assert np.isnan(roc_auc(scores, np.ones(4, bool)))
    vectors = torch.nn.functional.normalize(torch.randn(30, 8, generator=torch.Generator().manual_seed(0)), dim=1).numpy()
    assert recall_at(1, vectors, vectors, np.arange(30)).all()
    order = np.argsort(-(vectors @ vectors[0]))
    hits = recall_at(3, vectors[:1].repeat(30, axis=0), vectors, order)
    assert hits.tolist() == [1.0] * 3 + [0.0] * 27
