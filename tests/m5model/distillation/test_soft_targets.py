"""Soft targets of a cross-encoder on pairs: the loss and its gradient, what is kept, and a student that learns from them."""

import json
import random
import shutil
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from m5model.bundles.find import read_manifest
from m5model.data.label_sets import open_label_set
from m5model.data.set_versions import find_label_set, find_training_set
from m5model.data.training_sets import open_training_set
from m5model.distillation.cross_encoder import find_cross_task, open_cross_encoder, score_pairs
from m5model.distillation.recipe import cut, student
from m5model.distillation.request import Request
from m5model.distillation.soft_targets import Settings, soft_loss
from m5model.distillation.student import open_distillation
from m5model.encoders.presets import TINY
from m5model.labels.reading import ColumnMap
from m5model.labels.splitting import SplitPlan
from m5model.training.config import Machine
from schemas.errors import ConfigurationError
from schemas.labels import PAIRS
from schemas.workspace import Workspace
from spark.labels.import_labels import ImportSettings, Pinned, import_labels


def _plain_loss(z: np.ndarray, y: np.ndarray, t: np.ndarray, temperature: float, weight: float) -> float:
    """The formula at the top of the module, in float64."""

    def sigmoid(x: np.ndarray) -> np.ndarray:
        return 1 / (1 + np.exp(-x))

    hard = -(y * np.log(sigmoid(z)) + (1 - y) * np.log(1 - sigmoid(z)))
    p, q = sigmoid(t / temperature), sigmoid(z / temperature)
    divergence = p * np.log(p / q) + (1 - p) * np.log((1 - p) / (1 - q))
    return float((weight * hard + (1 - weight) * temperature**2 * divergence).mean())


@pytest.mark.parametrize(("temperature", "weight"), [(1.0, 0.0), (2.0, 0.5), (4.0, 0.3), (2.0, 1.0)])
def test_the_loss_and_its_gradient_are_those_of_the_plain_formula(temperature: float, weight: float) -> None:
    draw = np.random.default_rng(0)
    z, t, y = draw.normal(size=6) * 3, draw.normal(size=6) * 3, np.asarray([0.0, 1, 1, 0, 1, 0])
    given = torch.from_numpy(z).requires_grad_()
    loss = soft_loss(given, torch.from_numpy(y), torch.from_numpy(t), temperature, weight)
    assert loss.item() == pytest.approx(_plain_loss(z, y, t, temperature, weight), rel=1e-9)
    loss.backward()
    for place in range(6):
        step = np.eye(6)[place] * 1e-6
        up, down = (_plain_loss(z + sign * step, y, t, temperature, weight) for sign in (1, -1))
        assert float(given.grad[place]) == pytest.approx((up - down) / 2e-6, abs=1e-7)


def test_a_student_that_says_what_the_cross_encoder_says_has_no_soft_loss() -> None:
    t = torch.tensor([2.0, -1.0])
    assert float(soft_loss(t, torch.tensor([0.0, 1.0]), t, 2.0, 0.0)) == pytest.approx(0, abs=1e-7)


def test_settings_that_make_no_sense_are_named_at_once() -> None:
    with pytest.raises(ConfigurationError, match=r"(?s)temperature is 0.*label_weight is 2"):
        Settings(cross_encoder="b", temperature=0, label_weight=2)
    with pytest.raises(ConfigurationError, match="--cross-encoder needs --pairs"):
        Request(workspace=Workspace("/nowhere"), cross_encoder="b")


@pytest.fixture(scope="module")
def cross(trained, tmp_path_factory) -> Path:
    """A bundle that reads two texts as one: the teacher's encoder with a pair head drawn at random."""
    folder = tmp_path_factory.mktemp("cross") / "bundle"
    shutil.copytree(trained.teacher_folder, folder)
    weights = torch.randn(1, 128, generator=torch.Generator().manual_seed(0))
    head = folder / "heads/duplicates.safetensors"
    save_file({"dense.weight": weights, "dense.bias": torch.zeros(1)}, head)
    manifest = json.loads((folder / "manifest.json").read_text())
    data = head.read_bytes()
    manifest["files"]["heads/duplicates.safetensors"] = {"sha256": sha256(data).hexdigest(), "bytes": len(data)}
    manifest["recipe"]["stages"].append(
        {"stage": "finetune", "tasks": [{"task": "duplicates", "name": "", "settings": {"form": "cross"}}]}
    )
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


@pytest.fixture(scope="module")
def workspace(tmp_path_factory) -> Workspace:
    """A label set of pairs of 60 products."""
    workspace, draw = Workspace(str(tmp_path_factory.mktemp("pairs"))), random.Random(0)
    words = ["red", "blue", "shirt", "shoes", "knife"]
    rows = []
    for i in range(240):
        product, is_match = i % 60, i % 2 == 0
        other = product if is_match else (product + 7) % 60
        texts = [f"{words[one % 5]} {draw.choice(words)} {one} {i}{side}" for one, side in ((product, "a"), (other, "b"))]
        rows.append(
            {"left_text": texts[0], "right_text": texts[1], "is_match": is_match,
             "left_entity": f"p{product}", "right_entity": f"p{other}"}
        )  # fmt: skip
    settings = ImportSettings(
        name="pairs",
        kind=PAIRS,
        columns=ColumnMap(kind=PAIRS),
        split=SplitPlan(shares={"learn": 0.6, "validate": 0.2, "test": 0.2}),
    )
    import_labels(workspace, settings, rows, lambda keys: Pinned())
    return workspace


def test_only_a_bundle_that_reads_pairs_as_one_text_is_a_cross_encoder(trained, cross) -> None:
    assert find_cross_task(read_manifest(str(cross))) == "duplicates"
    with pytest.raises(ConfigurationError, match="teacher-tiny-.* is no cross-encoder"):
        find_cross_task(trained.teacher)


def test_its_logits_are_computed_once_and_are_those_of_both_texts_read_as_one(cross, workspace, monkeypatch) -> None:
    opened = open_cross_encoder(str(cross), Machine(threads=1))
    labels = open_label_set(find_label_set(workspace, "pairs"), opened.rendering)
    found = score_pairs(opened, labels, 10_000, workspace.teacher_outputs)
    learn = labels.splits["learn"]
    ids = opened.tokenizer.encode(learn[3]["left_text"], learn[3]["right_text"]).ids
    vector = opened.encoder.vectors(torch.tensor([ids]), torch.ones(1, len(ids), dtype=torch.long))
    assert len(found) == len(learn)
    assert found[3] == pytest.approx(float(opened.head.dense(vector * 128**0.5)), abs=1e-4)
    monkeypatch.setattr(type(opened), "logits", None)  # a second call reads what is kept
    assert np.array_equal(score_pairs(opened, labels, 5, workspace.teacher_outputs), found[:5])


def test_a_student_learns_what_the_cross_encoder_says_of_pairs(trained, cross, workspace) -> None:
    teacher, path = trained.teacher, str(trained.teacher_folder)
    training_set = open_training_set(find_training_set(trained.workspace, None))
    settings = Settings(cross_encoder=read_manifest(str(cross)).id)
    recipe = student(
        cut(TINY, (1,)), (teacher,), start_from=teacher, layers=(1,), pairs="pairs", steps=12,
        without=["layers", "imitation", "judgements", "contrast"], soft=settings,
    )  # fmt: skip
    assert [stage.stage for stage in recipe.stages] == ["begin", "soft_targets", "export"]
    machine = Machine(threads=1, without_guards=("overfit", "learning_rate", "shuffled_labels", "leakage"))
    distillation = open_distillation(workspace, training_set, (path,), machine, path, str(cross))
    labels = {"pairs": open_label_set(find_label_set(workspace, "pairs"), training_set.rendering)}
    model, _ = distillation.run(recipe, labels)
    (measured,) = model.measured
    assert measured.name == "soft_targets_average_precision"
    assert 0 < measured.after <= 1
    assert set(model.heads["soft_targets"]) == {"scale", "mean"}
    (trained_stage,) = [one for one in model.trained if one.stage == "soft_targets"]
    assert trained_stage.steps == 12 and trained_stage.last_loss is not None
    with pytest.raises(ConfigurationError, match=r"the recipe is for .*, found none"):
        open_distillation(workspace, training_set, (path,), machine, path).run(recipe, labels)
