"""A student that took some of its teacher's layers learns what these did, layer by layer."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from m5model.data.set_versions import find_training_set
from m5model.data.training_sets import open_training_set
from m5model.distillation import layerwise
from m5model.distillation.recipe import cut, student
from m5model.distillation.short_texts import Frame
from m5model.distillation.student import distill_student
from m5model.distillation.teachers import TaughtRows
from m5model.encoders.bert import build_encoder, keep_layers
from m5model.encoders.presets import TINY
from m5model.training.config import Machine
from schemas.errors import ConfigurationError
from schemas.workspace import Workspace

FOUR = replace(TINY, layers=4)


def _task(teacher: nn.Module, layers: tuple[int, ...]) -> layerwise.Layerwise:
    task = object.__new__(layerwise.Layerwise)
    task._teacher, task._layers = teacher, layers
    return task


def _batch() -> TaughtRows:
    ids_BL = np.random.default_rng(0).integers(5, 200, (3, 9))
    mask_BL = np.ones_like(ids_BL)
    mask_BL[1, 5:] = 0
    return TaughtRows(ids_BL=ids_BL, mask_BL=mask_BL, teacher_BE=np.zeros((3, 0), np.float32), tokens=23)


def test_a_student_with_all_layers_has_nothing_to_learn_and_one_without_some_has() -> None:
    teacher = build_encoder(FOUR, 256).eval()
    batch = _batch()
    whole, cut_one = build_encoder(FOUR, 256), build_encoder(FOUR, 256)
    keep_layers(cut_one, (1, 3))
    for encoder in (whole, cut_one):
        encoder.train()
    task = _task(teacher, (0, 1, 2, 3))
    assert task.loss(task.logits(whole, batch), batch).item() == pytest.approx(0, abs=1e-6)
    task = _task(teacher, (1, 3))
    assert task.loss(task.logits(cut_one, batch), batch).item() > 1e-4
    assert cut_one.training  # dropout is off only while it reads


def test_the_loss_is_the_mean_over_layers_of_what_numpy_finds_and_padding_counts_nothing() -> None:
    teacher = build_encoder(FOUR, 256).eval()
    pupil = build_encoder(FOUR, 256, seed=1)
    keep_layers(pupil, (1, 3))
    batch, task = _batch(), _task(teacher, (1, 3))
    loss = task.loss(task.logits(pupil, batch), batch).item()
    ids_BL, mask_BL = torch.from_numpy(batch.ids_BL), torch.from_numpy(batch.mask_BL)
    with torch.no_grad():
        theirs = [states[mask_BL.bool()].numpy() for states in teacher.layer_states(ids_BL, mask_BL)]
        ours = [states[mask_BL.bool()].numpy() for states in pupil.eval().layer_states(ids_BL, mask_BL)]
    gaps = [
        ((own - theirs[layer]) ** 2).sum() / ((theirs[layer] - theirs[layer].mean(0)) ** 2).sum()
        for own, layer in zip(ours, (1, 3), strict=True)
    ]
    assert loss == pytest.approx(float(np.mean(gaps)), rel=1e-4)
    assert task.logits(pupil, batch).shape == (2, 23, TINY.hidden_size)


def test_some_steps_read_short_texts_the_same_in_every_run() -> None:
    task = _task(build_encoder(FOUR, 256).eval(), (1, 3))
    task.seed, task._frame, task._short_share = 5, Frame(before=1, after=1), 0.5
    task._learn = SimpleNamespace(
        padded=lambda rows: (_batch().ids_BL[rows], _batch().mask_BL[rows]),
        targets=lambda rows: np.zeros((len(rows), 0), np.float32),
        lengths=np.asarray([9, 5, 9]),
    )
    rows = np.arange(3)
    batches = [task.batch(step, rows) for step in range(40)]
    short = [batch for batch in batches if len(batch.ids_BL) > 3]
    assert 10 <= len(short) <= 30
    assert all(batch.tokens == batch.mask_BL.sum() for batch in batches)
    again = task.batch(batches.index(short[0]), rows)
    assert again.ids_BL.tolist() == short[0].ids_BL.tolist()


def test_the_part_is_in_a_recipe_exactly_where_layers_of_a_teacher_are_taken(trained) -> None:
    def stages(**wishes: object) -> list[str]:
        recipe = student(cut(TINY, wishes.get("layers", ())), (trained.teacher,), steps=20, **wishes)
        return [stage.stage for stage in recipe.stages]

    assert stages(start_from=trained.teacher, layers=(1,)) == ["begin", "layers", "imitation", "judgements", "export"]
    assert "layers" not in stages(start_from=trained.student, layers=(1,))
    assert "layers" not in stages()
    assert "layers" not in stages(start_from=trained.teacher, layers=(1,), without=["layers"])


def test_a_student_comes_nearer_to_the_states_of_its_teacher() -> None:
    teacher, pupil = build_encoder(FOUR, 256).eval(), build_encoder(FOUR, 256)
    keep_layers(pupil, (1, 3))
    batch, task = _batch(), _task(teacher, (1, 3))
    optimiser = torch.optim.Adam(pupil.parameters(), lr=1e-3)
    losses = []
    for _ in range(20):
        loss = task.loss(task.logits(pupil, batch), batch)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 2


def test_a_student_of_layers_alone_is_published_and_no_vectors_are_computed_to_learn_from(trained, tmp_path) -> None:
    training_set = open_training_set(find_training_set(trained.workspace, None))
    only = ("imitation", "judgements")
    recipe = student(cut(TINY, (1,)), (trained.teacher,), start_from=trained.teacher, layers=(1,), steps=3, without=only)
    workspace = Workspace(str(tmp_path))
    found = distill_student(
        workspace,
        training_set,
        (str(trained.teacher_folder),),
        recipe,
        machine=Machine(threads=1),
        start_from=str(trained.teacher_folder),
    )
    assert [(stage.stage, stage.steps) for stage in found.trained] == [("layers", 3)]
    assert len(list(Path(workspace.teacher_outputs).iterdir())) == 1  # of held-out texts, to judge by


def test_layers_of_what_is_no_teacher_are_refused(trained, tmp_path) -> None:
    training_set = open_training_set(find_training_set(trained.workspace, None))
    recipe = student(
        cut(TINY, (1,)), (trained.teacher,), start_from=trained.teacher, layers=(1,), steps=4, without=["judgements"]
    )
    begin, follow, *rest = recipe.stages
    settings = replace(follow.tasks[0].settings, teacher="teacher-tiny-00000000")
    other = replace(follow, tasks=(replace(follow.tasks[0], settings=settings),))
    with pytest.raises(ConfigurationError, match="the recipe is for teacher-tiny-00000000, found teacher-tiny-"):
        distill_student(
            Workspace(str(tmp_path)),
            training_set,
            (str(trained.teacher_folder),),
            replace(recipe, stages=(begin, other, *rest)),
            machine=Machine(threads=1),
            start_from=str(trained.teacher_folder),
        )
