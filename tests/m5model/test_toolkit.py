"""The functions of ``import m5model``."""

import asyncio
import json
from pathlib import Path

import numpy as np
import pytest

import m5model
from m5model.bundles.sources import open_source
from m5model.encoders.huggingface import read_geometry
from m5model.toolkit import _finetuning
from schemas.errors import ConfigurationError, ModelInputError

TEXTS = ["red cotton shirt", "青 革 靴", "steel bottle"]


@pytest.fixture(scope="module")
def encoder(trained):
    return m5model.load(str(trained.student_folder))


def test_a_bundle_is_found_by_path_id_or_as_the_newest(trained, encoder, monkeypatch: pytest.MonkeyPatch) -> None:
    root = trained.workspace.root
    expected = encoder.encode(TEXTS)
    for vectors in (
        m5model.encode(trained.student_folder, TEXTS),
        m5model.encode(f"{trained.student_folder}/", TEXTS),
        m5model.encode(trained.student.id, TEXTS, workspace=root),
        m5model.encode(encoder, TEXTS),
        m5model.load(workspace=root).encode(TEXTS),
    ):
        assert vectors.tobytes() == expected.tobytes()
    monkeypatch.setenv("M5_WORKSPACE", root)
    assert m5model.load().space_id == trained.student.space_id
    with pytest.raises(ConfigurationError, match="no bundle 'nothing'"):
        m5model.load("nothing")


def test_encode_async_gives_the_same_bytes_while_the_event_loop_goes_on(encoder) -> None:
    async def ask() -> tuple[list[np.ndarray], int]:
        turns = 0
        asked = [asyncio.ensure_future(m5model.encode_async(encoder, TEXTS * 50)) for _ in range(4)]
        while not all(one.done() for one in asked):
            await asyncio.sleep(0)
            turns += 1
        return [one.result() for one in asked], turns

    found, turns = asyncio.run(ask())
    assert all(np.array_equal(vectors, encoder.encode(TEXTS * 50)) for vectors in found) and turns > 10


def test_similarity_is_the_cosine_of_all_pairs(encoder) -> None:
    vectors = encoder.encode(TEXTS)
    cosines = m5model.similarity(vectors, vectors[:2])
    assert cosines.shape == (3, 2) and cosines.dtype == np.float32
    assert np.allclose(cosines, vectors.astype(np.float64) @ vectors[:2].T, atol=1e-6)
    assert cosines.max() <= 1.0 and m5model.similarity(vectors[:0], vectors).shape == (0, 3)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda vectors: vectors * np.array([[1], [2], [1]]), "right: row 1 has the length 2"),
        (lambda vectors: np.where(np.arange(3)[:, None] == 2, np.nan, vectors), "right: row 2 has the length nan"),
        (lambda vectors: vectors[0], "right has the shape"),
        (lambda vectors: vectors[:, :64] / np.linalg.norm(vectors[:, :64], axis=1, keepdims=True), "right 64"),
    ],
)
def test_similarity_names_the_row_that_is_no_unit_vector(encoder, damage, message: str) -> None:
    vectors = encoder.encode(TEXTS)
    with pytest.raises(ModelInputError, match=message):
        m5model.similarity(vectors, damage(vectors))


def test_fine_tuning_learns_from_pairs_from_tasks_or_from_texts(trained) -> None:
    source = open_source(trained.workspace, trained.teacher.id)
    preset = read_geometry(source.folder)

    def stages(**labels: object) -> list[str]:
        values = {"pairs": None, "tasks": None, **labels}
        recipe = _finetuning(source, preset, values["pairs"], values["tasks"], 5, 0)
        return [json.dumps(stage) for stage in recipe.as_json()["stages"]]

    weights, learns = stages()
    assert trained.teacher.id in weights and "mlm" in learns
    assert "contrast" in stages(pairs="labels")[1] and '"labels": "labels"' in stages(pairs="labels")[1]
    assert '"task": "duplicates"' in stages(tasks={"duplicates": "a", "brand": "b"})[1]
    with pytest.raises(ConfigurationError, match="both"):
        m5model.finetune(trained.teacher.id, pairs="a", tasks={"brand": "b"}, steps=1, workspace=trained.workspace.root)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda folder: m5model.load(folder, "int4"), "precision is 'int4', expected int8 or fp32"),
        (lambda folder: m5model.load(folder, threads=0), "threads is 0, expected 1 or more"),
        (lambda folder: m5model.load(folder, threads=1.5), "threads is 1.5, expected 1 or more"),
        (lambda folder: m5model.finetune(folder, steps=0), "steps is 0, expected 1 or more"),
        (lambda folder: m5model.finetune(folder, tasks={}, steps=1), "tasks is empty"),
        (lambda folder: m5model.finetune(folder, steps=1, device="tpu", workspace=str(folder.parents[1])), "device is 'tpu'"),
    ],
)
def test_settings_that_there_are_not_are_named_before_anything_is_computed(trained, call, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        call(trained.student_folder)


def test_the_folder_export_and_the_function_export_share_their_name() -> None:
    import m5model.export.parity

    assert callable(m5model.export) and m5model.export.parity
    with pytest.raises(ConfigurationError, match="no bundle 'nothing'"):
        m5model.export("nothing", workspace=str(Path("/nowhere")))
