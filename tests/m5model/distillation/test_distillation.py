from dataclasses import replace

import pytest
import torch

from m5model.data.set_versions import find_training_set
from m5model.data.training_sets import open_training_set
from m5model.distillation.config import DistillationConfig
from m5model.distillation.losses import judgement_loss, pair_similarities
from m5model.distillation.recipe import distill_student
from m5model.encoders.presets import MINI, TINY
from schemas.errors import ConfigurationError, GateRefusedError
from schemas.workspace import Workspace


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
    gate = trained.student.gate
    assert gate["judgement_correlation_after"] > gate["judgement_correlation_before"]
    assert gate["judgement_correlation_after"] >= gate["judgement_correlation_threshold"]
    assert gate["mlm_held_out_loss_after"] < gate["mlm_held_out_loss_before"]
    assert gate["fp32_max_difference"] <= gate["fp32_max_difference_threshold"]
    assert trained.student.parent == trained.teacher.id


def test_a_student_that_does_not_judge_like_its_teacher_is_refused_and_not_released(
    trained, write_training_set, tmp_path
) -> None:
    workspace = Workspace(str(tmp_path))
    training_set = open_training_set(str(write_training_set(workspace)))
    config = DistillationConfig.for_preset(TINY, steps=2, threads=1, min_correlation=0.9999)
    with pytest.raises(GateRefusedError, match="does not judge like teacher-tiny"):
        distill_student(workspace, training_set, str(trained.teacher_folder), TINY, config)
    assert not (tmp_path / "bundles").exists()


def test_a_student_may_begin_with_another_bundle_and_leave_its_own_mlm_out(trained, tmp_path) -> None:
    training_set = open_training_set(find_training_set(trained.workspace, None))
    config = DistillationConfig.for_preset(TINY, steps=2, threads=1)
    config = replace(config, judgements=replace(config.judgements, learning_rate=1e-5))
    workspace, start = Workspace(str(tmp_path)), str(trained.student_folder)
    student = distill_student(workspace, training_set, str(trained.teacher_folder), TINY, config, start)
    assert student.gate["started_from"] == trained.student.id
    assert student.gate["judgement_correlation_before"] == pytest.approx(
        trained.student.gate["judgement_correlation_after"], abs=1e-4
    )


def test_a_checkpoint_of_another_geometry_is_refused_before_anything_is_trained(trained, tmp_path) -> None:
    training_set = open_training_set(find_training_set(trained.workspace, None))
    config, start = DistillationConfig.for_preset(MINI, steps=2, threads=1), str(trained.student_folder)
    with pytest.raises(ConfigurationError, match=r"2 layers x 128.*4 layers x 384"):
        distill_student(Workspace(str(tmp_path)), training_set, str(trained.teacher_folder), MINI, config, start)


def test_all_wrong_settings_are_named_at_once() -> None:
    good = DistillationConfig.for_preset(TINY)
    with pytest.raises(ConfigurationError, match=r"batch_rows is 1.*'none'.*min_correlation is 7"):
        replace(good, batch_rows=1, quantization="none", min_correlation=7)  # type: ignore[arg-type]
