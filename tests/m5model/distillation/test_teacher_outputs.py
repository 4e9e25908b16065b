"""Teachers' vectors: computed once, kept, shared, made good where they are damaged."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from m5model.data.set_versions import find_training_set
from m5model.data.training_sets import open_training_set
from m5model.distillation import teacher_outputs
from m5model.distillation.teachers import Teachers, join_teachers, open_teacher
from m5model.distillation.vectors import encode_all
from m5model.training.config import Machine


@pytest.fixture
def teachers(trained, tmp_path) -> Teachers:
    training_set = open_training_set(find_training_set(trained.workspace, None))
    opened = open_teacher(str(trained.teacher_folder), Machine(threads=1))
    return Teachers(opened=(opened,), training_set=training_set, outputs=str(tmp_path))


def _tokens(teachers: Teachers):
    from m5model.data.token_rows import tokenize_rows

    teacher = teachers.opened[0]
    return tokenize_rows(teachers.training_set.learn, teacher.tokenizer, teacher.manifest.max_tokens)


def _parts(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.npy"))


def test_only_the_parts_that_are_asked_for_are_computed_and_none_twice(teachers, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(teacher_outputs, "PART_ROWS", 8)
    rows = _tokens(teachers)
    teachers.taught("learn", rows, 10)
    first = {part: part.stat().st_mtime_ns for part in _parts(tmp_path)}
    assert len(first) == 2
    teachers.taught("learn", rows, 17)
    later = {part: part.stat().st_mtime_ns for part in _parts(tmp_path)}
    assert len(later) == 3
    assert first.items() <= later.items()


def test_kept_vectors_are_those_that_the_teacher_gives(teachers, monkeypatch) -> None:
    monkeypatch.setattr(teacher_outputs, "PART_ROWS", 8)
    rows = _tokens(teachers)
    taught = teachers.taught("learn", rows, 20)
    places = np.asarray([19, 0, 7, 8])
    expected = encode_all(teachers.opened[0].encoder, rows, taught.chosen[places])
    np.testing.assert_allclose(taught.targets(places), expected, atol=1e-6)


def test_a_damaged_part_is_computed_again(teachers, tmp_path) -> None:
    rows = _tokens(teachers)
    before = teachers.taught("learn", rows, 20).targets(np.arange(20)).copy()
    (part,) = _parts(tmp_path)
    part.write_bytes(part.read_bytes()[:-4] + b"\0\0\0\1")
    assert (teachers.taught("learn", rows, 20).targets(np.arange(20)) == before).all()


def test_another_split_and_another_teacher_have_their_own_vectors(teachers, tmp_path) -> None:
    rows = _tokens(teachers)
    held_out = replace(rows, keys=rows.keys[: len(teachers.training_set.held_out)])
    teachers.taught("learn", rows, 5)
    teachers.taught("held_out", held_out, 5)
    opened = teachers.opened[0]
    renamed = replace(opened, manifest=replace(opened.manifest, id="teacher-tiny-00000000"))
    replace(teachers, opened=(renamed,)).taught("learn", rows, 5)
    assert len({part.parent for part in _parts(tmp_path)}) == 3


def test_several_teachers_side_by_side_have_the_mean_of_their_cosines() -> None:
    draw = np.random.default_rng(0)
    one, other = (
        vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        for vectors in (draw.normal(size=(6, 4)), draw.normal(size=(6, 9)))
    )
    joined = join_teachers([one, other])
    np.testing.assert_allclose(joined @ joined.T, (one @ one.T + other @ other.T) / 2, atol=1e-6)
