"""Queries by a small student against documents by a larger one: measured by the gate, written down, accepted everywhere."""

from dataclasses import replace

import numpy as np
import pytest

import m5model
from m5model.bundles.describe import as_text
from m5model.bundles.find import find_bundle, read_manifest
from m5model.cli import main
from m5model.data.set_versions import find_training_set
from m5model.distillation.request import Request, fulfil
from m5model.distillation.same_space import judge_texts, neighbours_lost
from m5model.distillation.targets import require_one_target, targets_of
from m5model.distillation.thresholds import Agreement, SameSpaceLimits, StudentGate
from m5model.distillation.verdicts import nearest_gate
from m5model.training.config import Machine
from schemas.errors import ConfigurationError, SpaceMismatchError
from schemas.space import SameSpace
from schemas.workspace import Workspace

LANGUAGE = np.repeat(["de", "ja"], 60)


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def _vectors(seed: int = 0) -> np.ndarray:
    return _unit(np.random.default_rng(seed).normal(size=(120, 24)))


def _failed(query: np.ndarray, limits: SameSpaceLimits | None = None) -> list:
    verdicts = judge_texts(query, _vectors(), LANGUAGE, limits or SameSpaceLimits())
    return [one for one in verdicts if not one.figure.holds]


def test_a_student_that_gives_the_documents_vectors_loses_nothing() -> None:
    assert neighbours_lost(_vectors(), _vectors()).tolist() == [0.0] * 120
    verdicts = judge_texts(_vectors(), _vectors(), LANGUAGE, SameSpaceLimits())
    assert [one.figure.value for one in verdicts if "cosine" in one.figure.name] == pytest.approx([1, 1, 1])
    assert all(one.figure.holds for one in verdicts)


def test_a_space_that_is_only_turned_is_another_space() -> None:
    rotation = np.linalg.qr(np.random.default_rng(5).normal(size=(24, 24)))[0]
    assert {one.figure.name for one in _failed(_vectors() @ rotation)} >= {"same_space_cosine", "same_space_neighbours_lost"}


def test_a_student_that_leaves_the_space_in_japanese_alone_is_refused_for_japanese_and_told_which_gate_would_do() -> None:
    query = np.where((LANGUAGE == "ja")[:, None], _vectors(1), _vectors())
    lenient = SameSpaceLimits(min_cosine=0.3, max_neighbours_lost=0.7)
    failed = _failed(query, lenient)
    assert {one.figure.name for one in failed} == {"same_space_cosine_ja", "same_space_neighbours_lost_ja"}
    assert "[same_space]\n  min_language_cosine = " in nearest_gate(failed)
    own = replace(lenient, languages={"ja": {"min_cosine": 0, "max_neighbours_lost": 1}})
    assert [one for one in _failed(query, own) if one.figure.low >= 0] == []


def test_a_student_of_another_teacher_or_another_width_is_refused_before_it_is_trained(trained) -> None:
    student, teacher = trained.student, trained.teacher
    assert targets_of(student) == {student.id, teacher.id}
    require_one_target(student, [teacher], 128)
    require_one_target(student, [student], 128)
    other = replace(teacher, id="teacher-other", hidden_size=64)
    with pytest.raises(ConfigurationError, match=r"(?s)not taught by teacher-other.*expected one number"):
        require_one_target(student, [other], 64)
    with pytest.raises(ConfigurationError, match="not taught by teacher-tiny-.*, teacher-other"):
        require_one_target(student, [teacher, replace(other, hidden_size=128)], 128)
    with pytest.raises(ConfigurationError, match=r"(?s)has no int8 graph"):
        require_one_target(teacher, [teacher], 128)
    queries = replace(student, same_space=(SameSpace(bundle="b", space_id="s"),))
    with pytest.raises(ConfigurationError, match="is for queries itself"):
        require_one_target(queries, [teacher], 128)
    with pytest.raises(ConfigurationError, match="needs the part imitation"):
        Request(workspace=Workspace("/nowhere"), same_space_as="b", without=("imitation",))


@pytest.fixture(scope="module")
def small(trained, tmp_path_factory) -> tuple[Workspace, str]:
    """A workspace in which the newest student is one for queries, made with a gate that lets much pass."""
    workspace = Workspace(str(tmp_path_factory.mktemp("queries")))
    gate = StudentGate(
        agreement=Agreement(min_correlation=-1, language_slack=2),
        same_space=SameSpaceLimits(min_cosine=0, max_neighbours_lost=1, min_language_cosine=0, max_language_neighbours_lost=1),
    )
    request = Request(
        workspace=workspace,
        teachers=(str(trained.teacher_folder),),
        training_set=find_training_set(trained.workspace, None),
        start_from="teacher",
        layers=(1,),
        same_space_as=str(trained.student_folder),
        steps=10,
        gate=gate,
        machine=Machine(threads=1, without_guards=("overfit", "shuffled_labels")),
    )
    return workspace, fulfil(request).id


def test_a_student_for_queries_names_the_other_space_and_was_taught_its_targets_vectors_alone(trained, small) -> None:
    workspace, name = small
    manifest = read_manifest(workspace.bundle(name))
    assert manifest.same_space == (SameSpace(bundle=trained.student.id, space_id=trained.student.space_id),)
    assert "same_space.json" in manifest.files
    assert [stage["stage"] for stage in manifest.recipe["stages"]] == ["begin", "layers", "imitation", "export"]
    figures = {figure.name: figure for figure in manifest.gate}
    assert figures["same_space_cosine"].low < figures["same_space_cosine"].value < figures["same_space_cosine"].high
    assert f"  {trained.student.id}, space {trained.student.space_id}: vectors of both may be compared" in as_text(manifest)


def test_it_is_never_meant_without_being_named(small) -> None:
    workspace, _ = small
    with pytest.raises(ConfigurationError, match="no student bundle"):
        find_bundle(workspace, None, "student")


def test_the_toolkit_compares_its_queries_with_the_documents_and_refuses_another_space(trained, small) -> None:
    workspace, name = small
    queries, documents = m5model.load(workspace.bundle(name)), m5model.load(trained.student_folder)
    texts = ["red cotton shirt"]
    vectors = queries.encode(texts), documents.encode(texts)
    assert m5model.similarity(*vectors, encoders=(queries, documents)).shape == (1, 1)
    exact = m5model.load(trained.student_folder, "fp32")
    with pytest.raises(SpaceMismatchError, match=queries.space_id):
        m5model.similarity(*vectors, encoders=(queries, exact))
    with pytest.raises(SpaceMismatchError, match=documents.space_id):  # the evidence is of int8
        m5model.similarity(*vectors, encoders=(m5model.load(workspace.bundle(name), "fp32"), documents))


def test_encode_and_the_service_take_the_documents_space_for_theirs(trained, small, capsys) -> None:
    pytest.importorskip("uvicorn", reason="the service needs the extra m5[serve]")
    from m5model.serving.answers import card_of, require_model
    from m5model.serving.served_model import Reference, open_model

    workspace, name = small
    small_path, large = workspace.bundle(name), trained.student
    for space in (large.space_id, str(trained.student_folder)):
        assert main(["encode", "--space", space, small_path, "red cotton shirt"]) == 0
    assert main(["encode", "--space", "0123456789abcdef", small_path, "red"]) != 0
    assert "0123456789abcdef" in capsys.readouterr().err
    model = open_model(Reference(workspace=None, bundle=small_path, space=large.space_id), 0)
    require_model(model, large.space_id)
    require_model(model, large.id)
    assert card_of(model).same_space == [large.space_id]
    with pytest.raises(SpaceMismatchError, match=large.space_id_fp32):
        open_model(Reference(workspace=None, bundle=small_path, space=large.space_id_fp32), 0)
