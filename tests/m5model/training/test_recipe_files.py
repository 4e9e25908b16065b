"""Recipes as files: the values that they say, every error at once, and a dry run that changes nothing."""

import json
from pathlib import Path

import pytest
import torch

from m5model.data.training_sets import open_training_set
from m5model.encoders.presets import TINY
from m5model.export.teacher import rehearse_teacher
from m5model.tasks import mlm, product_type
from m5model.training.config import Machine, TrainingConfig
from m5model.training.recipe_files import read_recipe
from m5model.training.recipes import multitask, teacher
from m5model.training.shares import Mixing, TaskShare
from m5model.training.stages import LearnTasks, LearnVocabulary
from schemas.bundle import Origin
from schemas.errors import ConfigurationError
from schemas.workspace import Workspace

FILE = {
    "name": "mine",
    "preset": "tiny",
    "stages": [
        {"kind": "vocabulary", "size": 2000},
        {
            "kind": "tasks",
            "stage": "multitask",
            "training": {"steps": 200, "learning_rate": 0.0005},
            "mixing": {"temperature": 2, "scaling": "log_labels"},
            "tasks": [
                {"task": "mlm", "settings": {"token_budget": 512}, "steps": 2},
                {"task": "product_type", "labels": "types", "name": "kinds"},
            ],
            "frozen": ["embeddings."],
        },
    ],
}


def test_a_file_gives_the_recipe_that_a_function_would() -> None:
    stage = LearnTasks(
        stage="multitask",
        tasks=(
            TaskShare(task="mlm", settings=mlm.Settings(token_budget=512), steps=2),
            TaskShare(task="product_type", settings=product_type.Settings(), labels="types", name="kinds"),
        ),
        training=TrainingConfig(steps=200, learning_rate=0.0005),
        mixing=Mixing(temperature=2, scaling="log_labels"),
        frozen=("embeddings.",),
    )
    read = read_recipe(json.dumps(FILE), "mine.json")
    assert read.stages == (LearnVocabulary(size=2000), stage)
    assert (read.name, read.preset, read.label_sets) == ("mine", TINY, ("types",))


def test_every_error_of_a_file_is_named_at_once_with_its_place() -> None:
    broken = json.loads(json.dumps(FILE))
    broken |= {"preset": "huge", "note": "x"}
    broken["stages"][0]["size"] = 0
    broken["stages"][1]["training"] = {"steps": -1}
    broken["stages"][1]["mixing"]["temprature"] = 1
    broken["stages"][1]["tasks"][0]["settings"]["mask_share"] = 2
    broken["stages"][1]["tasks"] += [{"task": "product_typ"}, {"labels": "x"}]
    broken["stages"] += [{"kind": "weights"}, {"kind": "magic"}]
    with pytest.raises(ConfigurationError) as error:
        read_recipe(json.dumps(broken), "mine.json")
    for problem in (
        "preset is 'huge'",
        "there is no field 'note'",
        "stages[0]: stage vocabulary: size is 0",
        "stages[1].training lacks 'learning_rate'",
        "stages[1].mixing has no field 'temprature'",
        "stages[1].tasks[0].settings: mlm settings: mask_share is 2",
        "stages[1].tasks[2]: there is no task 'product_typ'",
        "stages[1].tasks[3] names no task",
        "stages[2] begins with weights, and none are given",
        "stages[3] is of no known kind",
    ):
        assert problem in str(error.value), problem


@pytest.mark.parametrize(("text", "problem"), [("{", "is not JSON"), ("[]", "holds no JSON object"), ("{}", "name is missing")])
def test_what_is_no_recipe_is_refused(text: str, problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem):
        read_recipe(text, "mine.json")


def test_a_recipe_that_begins_with_weights_has_their_size() -> None:
    text = json.dumps({"name": "w", "stages": [{"kind": "weights", "layers": [0, 2]}, {"kind": "trim", "size": 900}]})
    origin = Origin(name="x", licence="MIT", sha256="0")
    read = read_recipe(text, "w.json", preset=TINY, origin=origin)
    assert read.preset is TINY and read.stages[0].layers == (0, 2) and read.stages[0].origin == origin
    with pytest.raises(ConfigurationError, match="preset is given, and the run begins with weights"):
        read_recipe(json.dumps({**json.loads(text), "preset": "tiny"}), "w.json", preset=TINY, origin=origin)


def test_multitask_goes_on_from_any_start_and_ends_with_one_task() -> None:
    recipe = multitask(teacher(TINY, steps=5), {"product_type": "types", "duplicates": "pairs"}, finetune="duplicates", steps=8)
    assert [stage.stage for stage in recipe.stages] == ["vocabulary", "pretrain", "prefinetune", "finetune"]
    assert [share.key for share in recipe.stages[2].tasks] == ["product_type", "duplicates"]
    assert (recipe.stages[3].tasks[0].task, recipe.stages[3].training.steps) == ("duplicates", 4)
    assert recipe.label_sets == ("pairs", "types")
    with pytest.raises(ConfigurationError, match="finetune is 'brand', expected one of product_type"):
        multitask(teacher(TINY), {"product_type": "types"}, finetune="brand")


def test_a_dry_run_times_a_few_steps_and_leaves_nothing_behind(tmp_path: Path, write_training_set) -> None:
    workspace = Workspace(str(tmp_path))
    training_set = open_training_set(str(write_training_set(workspace, rows=80)))
    before = sorted(tmp_path.rglob("*"))
    threads = torch.get_num_threads()
    (estimate,) = rehearse_teacher(workspace, training_set, teacher(TINY, steps=300), Machine(threads=1))
    torch.set_num_threads(threads)
    assert (estimate.stage, estimate.steps, estimate.tasks[0].name) == ("pretrain", 300, "mlm")
    assert 300 * 100 < estimate.tokens <= 300 * 2_048 and estimate.seconds > 0
    assert estimate.measured_on.startswith("4 steps on")
    assert [path for path in sorted(tmp_path.rglob("*")) if "cache" not in path.name] == before
