from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from m5model.bundles.draft import read_heads, write_checkpoint
from m5model.data.set_versions import find_training_set
from m5model.data.training_sets import open_training_set
from m5model.data.vocabulary import load_vocabulary
from m5model.distillation.judgements import Settings
from m5model.distillation.losses import judgement_loss, pair_similarities
from m5model.distillation.recipe import ExportGraphs, cut, student
from m5model.distillation.student import distill_student
from m5model.distillation.thresholds import Agreement, StudentGate
from m5model.encoders.bert import load_encoder
from m5model.encoders.presets import MINI, TINY
from m5model.training.config import Machine
from m5model.training.stages import Model
from schemas.bundle import BundleManifest
from schemas.errors import ConfigurationError, GateRefusedError
from schemas.workspace import Workspace

ONE_THREAD = Machine(threads=1)


def _unit(rows: int, dimensions: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.nn.functional.normalize(torch.randn(rows, dimensions, generator=generator), dim=-1)


def test_pairs_are_counted_once_and_never_a_row_with_itself() -> None:
    vectors_BD = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]])
    assert pair_similarities(vectors_BD).tolist() == pytest.approx([0.0, 0.6, 0.8])


def test_the_loss_is_zero_for_a_student_that_only_turned_the_teachers_space() -> None:
    teacher_BD = _unit(12, 8, 1)
    rotation_DD = torch.linalg.qr(torch.randn(8, 8, generator=torch.Generator().manual_seed(2)))[0]
    assert float(judgement_loss(teacher_BD @ rotation_DD, teacher_BD)) == pytest.approx(0, abs=1e-6)


def test_the_loss_does_not_depend_on_the_order_of_the_batch_and_dimensions_may_differ() -> None:
    student_BD, teacher_BE = _unit(12, 4, 1), _unit(12, 16, 2)
    order = torch.randperm(12, generator=torch.Generator().manual_seed(3))
    loss = float(judgement_loss(student_BD, teacher_BE))
    assert loss > 0.1
    assert float(judgement_loss(student_BD[order], teacher_BE[order])) == pytest.approx(loss, rel=1e-5)


def test_the_student_learned_its_teachers_judgements_and_says_so_in_its_gate(trained) -> None:
    gate = {figure.name: figure for figure in trained.student.gate}
    assert all(figure.holds for figure in gate.values())
    assert gate["judgement_correlation_after"].value > gate["imitation_correlation_before"].value
    assert (gate["agreement"].bound, gate["agreement"].threshold) == ("at least", 0.8)
    assert gate["agreement"].low < gate["agreement"].value < gate["agreement"].high
    assert gate["mlm_held_out_loss_after"].value < gate["mlm_held_out_loss_before"].value
    assert gate["fp32_max_difference"].threshold == 1e-4
    assert trained.student.parent == trained.teacher.id


def test_a_manifest_holds_the_recipe_and_how_each_stage_went(trained) -> None:
    stages = trained.student.recipe["stages"]
    assert [stage["stage"] for stage in stages] == ["vocabulary", "pretrain", "imitation", "judgements", "export"]
    assert stages[2]["tasks"][0]["settings"]["teachers"] == [stages[0]["bundle"]] == [trained.teacher.id]
    trained_stages = [(stage.stage, stage.steps) for stage in trained.student.trained]
    assert trained_stages == [("pretrain", 20), ("imitation", 27), ("judgements", 13)]


def test_a_student_that_does_not_judge_like_its_teacher_is_refused_and_not_released(
    trained, write_training_set, tmp_path
) -> None:
    workspace = Workspace(str(tmp_path))
    training_set = open_training_set(str(write_training_set(workspace)))
    recipe, gate = student(TINY, (trained.teacher,), steps=2), StudentGate(agreement=Agreement(min_correlation=0.9999))
    refusal = r"(?s)falls short of teacher-tiny.*agreement .*at least 0.9999.*11 held-out texts.*min_correlation = "
    with pytest.raises(GateRefusedError, match=refusal):
        distill_student(workspace, training_set, (str(trained.teacher_folder),), recipe, gate=gate, machine=ONE_THREAD)
    assert not (tmp_path / "bundles").exists()


def test_a_student_may_begin_with_another_bundle_and_keeps_its_head(trained, tmp_path) -> None:
    begun = _begin_with(trained, trained.student_folder, tmp_path)
    assert begun.recipe["stages"][0] == {"stage": "begin", "bundle": trained.student.id, "layers": []}
    before, after = _figure(begun, "imitation_correlation_before"), _figure(trained.student, "judgement_correlation_after")
    assert before == pytest.approx(after, abs=1e-4)
    assert begun.files["heads/mlm.safetensors"] == trained.student.files["heads/mlm.safetensors"]


def test_a_bundle_without_heads_gives_none_and_gets_none(trained, tmp_path) -> None:
    files = {name: entry for name, entry in trained.student.files.items() if not name.startswith("heads/")}
    assert set(read_heads(trained.student_folder, trained.student)) == {"mlm"}
    assert read_heads(trained.student_folder, replace(trained.student, files=files)) == {}
    model = Model(encoder=load_encoder(trained.student_folder), tokenizer=load_vocabulary(trained.student_folder))
    write_checkpoint(tmp_path, model, 128)
    assert not (tmp_path / "heads").exists()


def test_a_run_that_ended_leaves_no_checkpoint(trained) -> None:
    assert not list(Path(trained.workspace.checkpoints).rglob("*.safetensors"))


def _begin_with(trained, folder: Path, root: Path) -> BundleManifest:
    """A student of two steps so small that they change next to nothing."""
    training_set = open_training_set(find_training_set(trained.workspace, None))
    recipe = student(TINY, (trained.teacher,), start_from=trained.student, steps=2, without=["judgements"])
    begin, imitating, export = recipe.stages
    slow = replace(imitating, training=replace(imitating.training, learning_rate=1e-5))
    recipe = replace(recipe, stages=(begin, slow, export))
    workspace, teachers = Workspace(str(root)), (str(trained.teacher_folder),)
    return distill_student(workspace, training_set, teachers, recipe, machine=ONE_THREAD, start_from=str(folder))


def _figure(manifest: BundleManifest, name: str) -> float:
    return next(figure.value for figure in manifest.gate if figure.name == name)


def test_a_bundle_of_another_size_is_refused_before_anything_is_trained(trained) -> None:
    with pytest.raises(ConfigurationError, match=r"2 layers x 128.*4 layers x 384"):
        student(MINI, (trained.teacher,), start_from=trained.student, steps=2)


@pytest.mark.parametrize("wrong", [{}, {"layers": (0,), "without": ["layers", "imitation", "judgements"]}])
def test_steps_in_which_nothing_would_be_learned_are_refused(trained, wrong: dict[str, Any]) -> None:
    preset = cut(TINY, wrong.get("layers", ()))
    with pytest.raises(ConfigurationError, match="nothing would be learned in 5 steps"):
        student(preset, (trained.teacher,), start_from=trained.teacher, steps=5, **wrong)


def test_a_recipe_for_another_teacher_is_refused(trained, tmp_path) -> None:
    training_set = open_training_set(find_training_set(trained.workspace, None))
    recipe = student(TINY, (replace(trained.teacher, id="teacher-tiny-00000000"),), steps=2)
    with pytest.raises(ConfigurationError, match="the recipe is for teacher-tiny-00000000, found teacher-tiny-"):
        distill_student(Workspace(str(tmp_path)), training_set, (str(trained.teacher_folder),), recipe, machine=ONE_THREAD)


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        (lambda: Settings(teachers=("t",), batch_rows=1), "batch_rows is 1"),
        (lambda: ExportGraphs(quantization="none"), "quantization is 'none'"),
        (lambda: Agreement(min_correlation=7), "min_correlation is 7"),
        (lambda: Agreement(min_correlation=float("nan")), "min_correlation is nan"),
    ],
)
def test_wrong_settings_are_named(settings: Callable[[], object], problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem):
        settings()


def test_a_threshold_is_no_part_of_what_decides_a_run_and_the_teacher_is(trained) -> None:
    training_set = open_training_set(find_training_set(trained.workspace, None))
    recipe = student(TINY, (trained.teacher,), steps=4)
    other = student(TINY, (replace(trained.teacher, id="teacher-tiny-00000000"),), steps=4)
    assert recipe.run_id(training_set) == student(TINY, (trained.teacher,), steps=4).run_id(training_set)
    assert recipe.run_id(training_set) != other.run_id(training_set)
    assert "min_correlation" not in recipe.canonical()
