"""A student bundle: a recipe is run with a teacher bundle on a training set, and the result goes through two gates."""

from dataclasses import dataclass, replace
from pathlib import Path

from tokenizers import Tokenizer

from m5model.bundles.draft import draft_bundle, read_heads, write_checkpoint
from m5model.bundles.find import open_bundle
from m5model.bundles.publish import publish_bundle, staging_folder
from m5model.data.token_rows import tokenize_rows
from m5model.data.training_sets import TrainingSet, render_again
from m5model.data.vocabulary import load_vocabulary
from m5model.distillation import judgements
from m5model.distillation.recipe import BeginWith, ExportGraphs, StudentGate, TakeVocabulary
from m5model.encoders.device import choose_device
from m5model.encoders.encoder import TextEncoder
from m5model.encoders.kinds import load_encoder
from m5model.export.student import export_student
from m5model.gates.evidence import refuse_unless_all_hold
from m5model.gates.learning import figures_that_must_reach
from m5model.runtime.rendering import Rendering
from m5model.tasks import TaskData
from m5model.training.config import Machine
from m5model.training.recipes import Recipe
from m5model.training.stages import RUNNERS, Model, RunContext, StageRunner, run_stages
from schemas.bundle import BundleManifest
from schemas.errors import ConfigurationError
from schemas.workspace import Workspace

CORRELATION = f"{judgements.NAME}_{judgements.Judgements.metric}"


@dataclass(frozen=True)
class Teacher:
    """A teacher bundle, opened: its encoder on the device that computes, and its vocabulary. It is only read."""

    folder: Path
    manifest: BundleManifest
    encoder: TextEncoder
    tokenizer: Tokenizer


def open_teacher(path: str, machine: Machine) -> Teacher:
    """Open the bundle at ``path`` (a folder or s3a:// URI), every byte checked."""
    folder, manifest = open_bundle(path)
    encoder: TextEncoder = load_encoder(folder)
    encoder.requires_grad_(False).to(choose_device(machine.device, machine.threads))
    return Teacher(folder, manifest, encoder, load_vocabulary(folder))


def distill_student(
    workspace: Workspace,
    training_set: TrainingSet,
    teacher_path: str,
    recipe: Recipe,
    *,
    gate: StudentGate | None = None,
    machine: Machine | None = None,
    start_from: str | None = None,
) -> BundleManifest:
    """Train, export and publish a student; ``start_from`` is the path of the bundle that the recipe begins with, if any.

    A killed run started again with the same arguments goes on where it was. Raises GateRefusedError where the student does
    not judge like its teacher, or where its graphs do not give its vectors.
    """
    gate, machine = gate or StudentGate(), machine or Machine()
    *stages, export = recipe.stages
    if not isinstance(export, ExportGraphs):
        raise ConfigurationError(f"recipe {recipe.name} does not end with an export", next_step="add ExportGraphs() to it")
    teacher = open_teacher(teacher_path, machine)
    context = _context(workspace, training_set, teacher, recipe, machine)
    model = run_stages(stages, context, _runners(teacher, start_from))
    figures = figures_that_must_reach(model.measured, {CORRELATION: gate.min_correlation})
    refuse_unless_all_hold(
        figures, f"the student does not judge like {teacher.manifest.id}", "give more steps; nothing was released"
    )
    with staging_folder(workspace) as folder:
        write_checkpoint(folder, model, recipe.preset.max_tokens, training_set.rendering)
        figures += export_student(folder, model, recipe.preset.max_tokens, export.quantization, gate.parity)
        draft = draft_bundle("student", model, recipe, training_set, figures)
        draft = replace(draft, parent=teacher.manifest.id, quantization=f"int8-{export.quantization}")
        manifest = publish_bundle(workspace, folder, draft)
    context.delete_checkpoints()
    return manifest


def _context(workspace: Workspace, training_set: TrainingSet, teacher: Teacher, recipe: Recipe, machine: Machine) -> RunContext:
    run = recipe.run_id(training_set)
    length = teacher.manifest.max_tokens

    def build(settings: judgements.Settings, _: TextEncoder, data: TaskData) -> judgements.Judgements:
        _refuse_other_bundle(settings.teacher, teacher.manifest)
        read = render_again(training_set, Rendering.from_json(teacher.manifest.rendering))
        rows = judgements.TeacherRows(
            encoder=teacher.encoder,
            learn=tokenize_rows(read.learn, teacher.tokenizer, length),
            held_out=tokenize_rows(read.held_out, teacher.tokenizer, length),
        )
        return judgements.Judgements(settings, data, rows)

    return RunContext(
        training_set=training_set,
        preset=recipe.preset,
        machine=machine,
        run=run,
        checkpoints=f"{workspace.checkpoints}/{recipe.name}-{recipe.preset.name}-{run}",
        builders={judgements.NAME: build},
    )


def _runners(teacher: Teacher, start_from: str | None) -> dict[type, StageRunner]:
    """The stages that need a bundle, beside those that need only a training set."""

    def take_vocabulary(stage: TakeVocabulary, model: Model, context: RunContext) -> Model:
        _refuse_other_bundle(stage.bundle, teacher.manifest)
        return model.with_vocabulary(teacher.tokenizer, context.training_set, context.preset.max_tokens)

    def begin(stage: BeginWith, model: Model, context: RunContext) -> Model:
        if start_from is None:
            raise ConfigurationError(f"the recipe begins with {stage.bundle}", next_step="give start_from, its path")
        folder, manifest = open_bundle(start_from)
        _refuse_other_bundle(stage.bundle, manifest)
        begun = replace(model, encoder=load_encoder(folder), heads=read_heads(folder, manifest), origin=manifest.origin)
        return begun.with_vocabulary(load_vocabulary(folder), context.training_set, context.preset.max_tokens)

    return {**RUNNERS, TakeVocabulary: take_vocabulary, BeginWith: begin}


def _refuse_other_bundle(expected: str, found: BundleManifest) -> None:
    if found.id != expected:
        raise ConfigurationError(f"the recipe is for {expected}, found {found.id}", next_step="make the recipe for this bundle")
