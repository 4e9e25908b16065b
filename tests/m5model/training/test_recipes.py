import json
from dataclasses import dataclass, replace

import pytest

from m5model.data.training_sets import open_training_set
from m5model.encoders.presets import PRESETS, TINY
from m5model.tasks import mlm
from m5model.training.config import TrainingConfig
from m5model.training.recipes import PACES, Recipe, teacher
from m5model.training.shares import TaskShare
from m5model.training.stages import RUNNERS, LearnTasks, LearnVocabulary, RunContext, run_stages
from schemas.errors import ConfigurationError
from schemas.workspace import Workspace


@pytest.fixture(scope="module")
def training_set(tmp_path_factory, write_training_set):
    return open_training_set(str(write_training_set(Workspace(str(tmp_path_factory.mktemp("set"))), rows=64)))


def test_every_preset_has_a_pace_and_a_teacher() -> None:
    assert set(PACES) == set(PRESETS)
    assert [teacher(preset).stages[1].training.steps for preset in PRESETS.values()] == [PACES[name].steps for name in PRESETS]
    assert teacher(TINY, steps=5).stages[1].training.steps == 5


def test_the_canonical_json_of_a_recipe_says_all_and_nothing_of_the_machine() -> None:
    said = json.loads(teacher(TINY, steps=5, seed=3).canonical())
    assert [stage["stage"] for stage in said["stages"]] == ["vocabulary", "pretrain"]
    share = {"task": "mlm", "steps": 1, "labels": "", "scale": 1, "name": ""}
    assert said["stages"][1]["tasks"] == [{**share, "settings": {"token_budget": 2048, "mask_share": 0.15}}]
    assert not {"device", "threads", "checkpoint_every"} & set(str(said).replace("'", " ").split())


def test_a_run_id_depends_on_every_setting_and_on_the_set(training_set) -> None:
    recipe = teacher(TINY, steps=5)
    vocabulary, pretrain = recipe.stages
    others = [
        teacher(TINY, steps=6),
        teacher(TINY, steps=5, seed=1),
        replace(recipe, preset=replace(TINY, heads=2)),
        replace(recipe, stages=(vocabulary, replace(pretrain, training=replace(pretrain.training, clip_norm=2.0)))),
        replace(recipe, stages=(replace(vocabulary, texts=9), pretrain)),
    ]
    again = replace(recipe, stages=(vocabulary, replace(pretrain, training=replace(pretrain.training, clip_norm=1))))
    assert again.run_id(training_set) == recipe.run_id(training_set)
    assert len({one.run_id(training_set) for one in (recipe, *others)}) == len(others) + 1


def test_two_stages_of_one_name_are_refused_as_their_checkpoints_would_mix() -> None:
    recipe = teacher(TINY)
    with pytest.raises(ConfigurationError, match="expected different names"):
        replace(recipe, stages=(*recipe.stages, recipe.stages[1]))


@dataclass(frozen=True)
class Unknown:
    stage: str = "unknown"


def test_a_stage_that_nothing_runs_is_refused_before_the_first_one_runs(training_set) -> None:
    recipe = Recipe(name="r", preset=TINY, stages=(LearnVocabulary(size=300), Unknown()))
    with pytest.raises(ConfigurationError, match="nothing runs the stages Unknown"):
        run_stages(recipe.stages, RunContext(training_set=training_set, preset=TINY), {**RUNNERS, LearnVocabulary: _never})


def _never(*_: object):
    raise AssertionError("ran")


def test_a_training_stage_without_a_vocabulary_is_refused(training_set) -> None:
    stage = LearnTasks(
        stage="pretrain",
        tasks=(TaskShare(task="mlm", settings=mlm.Settings()),),
        training=TrainingConfig(steps=1, learning_rate=1e-3),
    )
    with pytest.raises(ConfigurationError, match="stage pretrain has no vocabulary"):
        run_stages([stage], RunContext(training_set=training_set, preset=TINY), RUNNERS)


def test_an_unknown_task_is_refused_with_the_names_of_the_known_ones(training_set) -> None:
    stage = LearnTasks(
        stage="pretrain",
        tasks=(TaskShare(task="mln", settings=None),),
        training=TrainingConfig(steps=1, learning_rate=1e-3),
    )
    with pytest.raises(ConfigurationError, match="there is no task 'mln'.*\n.*mlm"):
        run_stages([LearnVocabulary(size=300), stage], RunContext(training_set=training_set, preset=TINY), RUNNERS)
