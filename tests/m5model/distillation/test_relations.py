"""Relations of tokens: the loss and its gradient against a plain formula, and a student that learns them."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from m5model.data.set_versions import find_training_set
from m5model.data.training_sets import open_training_set
from m5model.distillation.recipe import cut, student
from m5model.distillation.relations import LAST, heads_for, relation_loss
from m5model.distillation.student import open_distillation
from m5model.encoders.attention_parts import attention_parts
from m5model.encoders.bert import load_encoder
from m5model.encoders.presets import TINY
from m5model.training.config import Machine
from schemas.errors import ConfigurationError
from schemas.workspace import Workspace

HEADS = 2
MASK = np.asarray([[1, 1, 1, 0], [1, 1, 1, 1]])


def _parts(width: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(3, 2, 4, width))


def _probabilities(part_LD: np.ndarray, mask_L: np.ndarray, head: int) -> np.ndarray:
    """Each token's relation to the tokens that there are."""
    width = part_LD.shape[1] // HEADS
    own = part_LD[:, head * width : (head + 1) * width]
    scores = np.exp(own @ own.T / np.sqrt(width)) * mask_L
    return scores / scores.sum(axis=1, keepdims=True)


def _plain_loss(student: np.ndarray, teacher: np.ndarray) -> float:
    """Token by token, in float64."""
    found = []
    for part in range(3):
        for text, mask_L in enumerate(MASK):
            for head in range(HEADS):
                ours, theirs = (_probabilities(side[part, text], mask_L, head) for side in (student, teacher))
                for token in np.flatnonzero(mask_L):
                    there = theirs[token] > 0
                    ratio = np.log(theirs[token][there] / ours[token][there])
                    found.append((theirs[token][there] * ratio).sum())
    return float(np.mean(found))


def test_the_loss_and_its_gradient_are_those_of_the_plain_formula() -> None:
    student, teacher = _parts(4, 0), _parts(6, 1)  # widths and heads' sizes may differ
    given = torch.from_numpy(student).float().requires_grad_()
    loss = relation_loss(given, torch.from_numpy(teacher).float(), torch.from_numpy(MASK), HEADS)
    assert loss.item() == pytest.approx(_plain_loss(student, teacher), rel=1e-5)
    loss.backward()
    assert given.grad is not None
    for place in [(0, 0, 0, 0), (1, 1, 3, 2), (2, 0, 2, 3), (0, 0, 3, 1)]:  # the last one is padding
        step = np.zeros_like(student)
        step[place] = 1e-5
        slope = (_plain_loss(student + step, teacher) - _plain_loss(student - step, teacher)) / 2e-5
        assert float(given.grad[place]) == pytest.approx(slope, abs=2e-5)
    assert float(given.grad[0, 0, 3].abs().sum()) == 0.0


def test_a_student_with_the_teachers_relations_has_no_loss() -> None:
    parts = torch.from_numpy(_parts(4, 0)).float()
    rotation = torch.linalg.qr(torch.randn(2, 2, generator=torch.Generator().manual_seed(0)))[0]
    turned = (parts.unflatten(-1, (HEADS, -1)) @ rotation).flatten(-2)  # within each head: relations are products
    assert float(relation_loss(turned, parts, torch.from_numpy(MASK), HEADS)) == pytest.approx(0, abs=1e-6)


def test_relation_heads_divide_both_widths() -> None:
    assert [heads_for(384, 768), heads_for(128, 128), heads_for(384, 512)] == [12, 8, 8]


def test_the_parts_of_a_layer_are_what_its_attention_computes(trained) -> None:
    encoder = load_encoder(trained.teacher_folder)
    ids_BL = torch.tensor([[2, 9, 11, 3]])
    parts = attention_parts(encoder, LAST, ids_BL, torch.ones_like(ids_BL))
    states = encoder(input_ids=ids_BL, attention_mask=torch.ones_like(ids_BL), output_hidden_states=True).hidden_states
    expected = encoder.transformer.layer[-1].attention.k_lin(states[-2])
    torch.testing.assert_close(parts[1], expected)
    assert not encoder.transformer.layer[-1].attention.k_lin._forward_hooks


def test_a_student_that_lost_a_layer_learns_the_relations_of_the_whole(trained, tmp_path) -> None:
    teacher, path = trained.teacher, str(trained.teacher_folder)
    training_set = open_training_set(find_training_set(trained.workspace, None))
    absent = ["layers", "imitation", "judgements"]
    recipe = student(cut(TINY, (1,)), (teacher,), start_from=teacher, layers=(1,), steps=25, without=absent, relations_of=LAST)
    assert [stage.stage for stage in recipe.stages] == ["begin", "relations", "export"]
    machine = Machine(threads=1, without_guards=("overfit", "learning_rate"))
    distillation = open_distillation(Workspace(str(tmp_path)), training_set, (path,), machine, path)
    model, _ = distillation.run(recipe, {})
    ids_BL, mask_BL = (torch.from_numpy(array) for array in model.held_out.padded(np.arange(8)))
    with torch.no_grad():
        expected = attention_parts(load_encoder(trained.teacher_folder), LAST, ids_BL, mask_BL)
        begun = load_encoder(trained.teacher_folder)
        begun.transformer.layer = begun.transformer.layer[1:]
        before, after = (
            float(relation_loss(attention_parts(one, LAST, ids_BL, mask_BL), expected, mask_BL, 8))
            for one in (begun, model.encoder)
        )
    assert after < 0.7 * before
    assert {one.name for one in model.measured} == {"relations_correlation"}


def test_relations_of_other_tokens_are_refused_before_anything_is_trained(trained) -> None:
    teacher = trained.teacher
    others = {**teacher.files, "tokenizer.json": {"sha256": "0" * 64, "bytes": 1}}
    with pytest.raises(ConfigurationError, match="another vocabulary than teacher-tiny"):
        student(TINY, (teacher,), start_from=replace(trained.student, files=others), steps=20, relations_of=LAST)


def test_shares_of_other_parts_are_as_before_where_no_relations_are_asked_for(trained) -> None:
    plain = student(TINY, (trained.teacher,), steps=60)
    assert [stage.stage for stage in plain.stages] == ["vocabulary", "pretrain", "imitation", "judgements", "export"]
    assert [stage.training.steps for stage in plain.stages[1:4]] == [20, 27, 13]
