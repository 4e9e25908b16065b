"""A teacher that reads text and structure apart, from its recipe to its bundle, and a student that learns from it."""

from dataclasses import replace
from pathlib import Path

import pytest

from m5model.bundles.geometry import preset_of
from m5model.data.training_sets import TrainingSet, open_training_set, render_again
from m5model.data.vocabulary_marks import has_marks
from m5model.distillation.recipe import student
from m5model.distillation.student import open_distillation
from m5model.distillation.teachers import open_teacher
from m5model.encoders.cross_attention import CrossAttentionEncoder
from m5model.encoders.cross_start import cross_geometry, start_streams
from m5model.encoders.huggingface import Checkpoint, read_geometry
from m5model.encoders.presets import EncoderPreset, rendering_of
from m5model.export.teacher import train_teacher
from m5model.runtime.rendering import DEFAULT_RENDERING, MARKS, Rendering
from m5model.training import starting
from m5model.training.config import Machine
from m5model.training.guards import TrainingGuardError
from m5model.training.recipes import Pace, Recipe, from_weights, pretrain, teacher
from m5model.training.stages import RunContext, run_stages
from m5model.training.starting import Source, starting_runners
from schemas.bundle import BundleManifest, Origin
from schemas.errors import ConfigurationError
from schemas.workspace import Workspace
from tests.m5model.encoders.test_cross_attention import MICRO_CROSS
from tests.m5model.encoders.test_huggingface import _write

MACHINE = Machine(threads=1)
PRESET = replace(MICRO_CROSS, vocabulary_size=600)
STUDENT = EncoderPreset(
    name="micro", layers=1, hidden_size=32, heads=2, intermediate_size=64, vocabulary_size=600, max_tokens=48, parameters=0
)


@pytest.fixture(scope="module")
def workspace(tmp_path_factory) -> Workspace:
    return Workspace(str(tmp_path_factory.mktemp("two-streams")))


@pytest.fixture(scope="module")
def marked(workspace: Workspace, write_training_set) -> TrainingSet:
    return open_training_set(str(write_training_set(workspace)), rendering_of(PRESET))


@pytest.fixture(scope="module")
def bundle(workspace: Workspace, marked: TrainingSet) -> BundleManifest:
    vocabulary, _ = teacher(PRESET).stages
    learns = pretrain(Pace(steps=30, token_budget=1_024, learning_rate=5e-3), steps=30, seed=0)
    return train_teacher(workspace, marked, Recipe(name="teacher", preset=PRESET, stages=(vocabulary, learns)), MACHINE)


def test_its_bundle_names_its_rendering_and_geometry_and_its_vocabulary_ends_with_the_marks(workspace, bundle) -> None:
    found = preset_of(bundle)
    assert replace(found, parameters=0) == PRESET
    assert Rendering.from_json(bundle.rendering).marked
    opened = open_teacher(workspace.bundle(bundle.id), MACHINE)
    assert isinstance(opened.encoder, CrossAttentionEncoder) and has_marks(opened.tokenizer)
    assert opened.encoder.vocabulary_size == bundle.vocabulary_size == opened.tokenizer.get_vocab_size()


def test_training_lowered_the_loss_of_text_and_structure(bundle) -> None:
    gate = {figure.name: figure for figure in bundle.gate}
    assert gate["mlm_held_out_loss_after"].value < gate["mlm_held_out_loss_before"].value


def test_a_student_reads_plain_texts_while_its_teacher_reads_marked_ones(workspace, marked, bundle) -> None:
    plain = render_again(marked, DEFAULT_RENDERING)
    assert any(MARKS["brand"] in text for text in marked.learn["text"])
    assert not any(mark in text for text in plain.learn["text"] for mark in MARKS.values())
    assert plain.learn["key"] == marked.learn["key"]
    recipe = student(STUDENT, (bundle,), steps=8)
    assert [type(stage).__name__ for stage in recipe.stages][0] == "LearnVocabulary"  # a student has no marks
    machine = Machine(threads=1, without_guards=("overfit", "learning_rate"))  # so small an encoder learns at a higher rate
    distillation = open_distillation(workspace, plain, (workspace.bundle(bundle.id),), machine, None)
    model, _ = distillation.run(recipe, {})
    measured = {one.name: one for one in model.measured}
    assert measured["judgement_correlation"].after > 0


def test_it_is_no_students_layout_to_begin_with_or_to_be(bundle) -> None:
    with pytest.raises(ConfigurationError, match="another layout than students"):
        student(STUDENT, (bundle,), start_from=bundle)
    with pytest.raises(ConfigurationError, match="preset micro-cross has another layout"):
        student(PRESET, (bundle,))


def test_spark_refuses_its_rendering(bundle) -> None:
    from spark.rendering import render_listings

    with pytest.raises(ConfigurationError, match="Spark does not mark fields"):
        render_listings(None, Rendering.from_json(bundle.rendering))  # type: ignore[arg-type]


@pytest.mark.parametrize("is_reported", [True, False])
def test_what_is_new_in_an_encoder_that_begins_with_weights_is_known_to_the_guards(
    marked, tmp_path: Path, monkeypatch, is_reported: bool
) -> None:
    """Cross-attention is as new as can be, and the report said so; a stage that is not told takes it for a loader's fault."""
    folder = _write(tmp_path / "origin", "bert")
    origin = Origin(name="origin", licence="not stated", sha256="0" * 64)
    geometry = cross_geometry(read_geometry(folder), 1)
    recipe = from_weights(geometry, origin, form="streams", steps=2)
    machine = Machine(threads=1, without_guards=("overfit", "learning_rate", "gradients"))
    context = RunContext(training_set=marked, preset=geometry, machine=machine)
    runners = starting_runners(Source(folder=folder, origin=origin, rendering=marked.rendering))
    if not is_reported:
        monkeypatch.setattr(starting, "start_streams", lambda *given: _forget_new(start_streams(*given)))
        with pytest.raises(TrainingGuardError, match="guard_weights_as_new"):
            run_stages(recipe.stages, context, runners)
        return
    assert run_stages(recipe.stages, context, runners).new == ()


def _forget_new(taken: Checkpoint) -> Checkpoint:
    return replace(taken, report=replace(taken.report, new=()))
