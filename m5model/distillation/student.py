"""A student bundle: a recipe is run with teacher bundles on a training set, and the result goes through two gates."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np

from m5model.bundles.draft import draft_bundle, read_heads, write_checkpoint
from m5model.bundles.find import open_bundle
from m5model.bundles.publish import publish_bundle
from m5model.data.label_sets import LabelSet, open_label_set
from m5model.data.set_versions import find_label_set
from m5model.data.training_sets import TrainingSet
from m5model.data.vocabulary import load_vocabulary
from m5model.distillation import imitation
from m5model.distillation.ablation import Ablated, measure
from m5model.distillation.agreement import Judged
from m5model.distillation.builders import Builders, refuse_others
from m5model.distillation.candidates import Trial
from m5model.distillation.cross_encoder import CrossEncoder, open_cross_encoder
from m5model.distillation.examination import Labels, examine, refuse_unless_passed
from m5model.distillation.judged import JUDGED_TEXTS
from m5model.distillation.labelled_pairs import OpenLabels
from m5model.distillation.latency import LONG, SHORT, measure_milliseconds
from m5model.distillation.notes import Notes
from m5model.distillation.recipe import BeginWith, ExportGraphs, TakeVocabulary
from m5model.distillation.same_space import open_documents
from m5model.distillation.subject import Subject
from m5model.distillation.targets import require_one_target
from m5model.distillation.teachers import Teachers, open_teacher
from m5model.distillation.thresholds import StudentGate
from m5model.encoders.bert import keep_layers
from m5model.encoders.kinds import load_encoder
from m5model.export.parity import ParityThresholds
from m5model.export.student import export_student
from m5model.files.staging import staging_folder
from m5model.gates.learning import state_measured
from m5model.runtime.rendering import Rendering
from m5model.training.config import Machine
from m5model.training.recipes import Recipe
from m5model.training.stages import RUNNERS, Model, RunContext, StageRunner, run_stages
from schemas.bundle import ONNX_INT8_FILE, SAME_SPACE_FILE, BundleManifest
from schemas.canonical import canonical_json
from schemas.checks import require
from schemas.errors import ConfigurationError
from schemas.figure import Figure
from schemas.labels import ATTRIBUTES, PAIRS
from schemas.workspace import Workspace

# A candidate is measured, whatever its graphs give.
NO_THRESHOLDS = ParityThresholds(
    fp32_max_difference=2, int8_mean_cosine=-1, int8_min_cosine=-1, int8_pair_correlation=-1, engine_vectors_differing=2**31 - 1
)


def distill_student(
    workspace: Workspace,
    training_set: TrainingSet,
    teacher_paths: Sequence[str],
    recipe: Recipe,
    *,
    gate: StudentGate | None = None,
    machine: Machine | None = None,
    start_from: str | None = None,
    pairs: str | None = None,
    attributes: str | None = None,
    same_space_as: str | None = None,
    cross_encoder: str | None = None,
    notes: Notes | None = None,
    stated: tuple[Figure, ...] = (),
) -> BundleManifest:
    """Train, export, examine and publish a student.

    ``start_from`` is the path of the bundle that the recipe begins with, if any; ``pairs`` and ``attributes`` name label sets
    to examine it on, ``stated`` are figures for the manifest that refuse nothing. ``same_space_as`` is the path of the bundle
    that gives the vectors of documents, where this student is for queries in its space, ``cross_encoder`` that of the bundle
    whose soft targets the recipe learns from, if any. ``notes`` take down what there is to show of the run.
    A killed run started again with the same arguments goes on where it was. Raises GateRefusedError where the student does not
    do what its teachers do, or where its graphs do not give its vectors.
    """
    gate, notes = gate or StudentGate(), notes or Notes()
    distillation = open_distillation(
        workspace, training_set, teacher_paths, machine or Machine(), start_from, cross_encoder, notes
    )
    named = {*recipe.label_sets, *filter(None, (pairs, attributes))}
    label_sets = {name: open_label_set(find_label_set(workspace, name), training_set.rendering) for name in sorted(named)}
    _require_kinds(label_sets, {PAIRS.name: pairs, ATTRIBUTES.name: attributes})
    documents = open_documents(same_space_as) if same_space_as else None
    if documents:
        taught_by = [teacher.manifest for teacher in distillation.teachers.opened]
        require_one_target(documents.manifest, taught_by, recipe.preset.hidden_size)
    model, export = distillation.run(recipe, label_sets)
    with staging_folder(workspace) as folder:
        with notes.clock.step("export"):
            parity = distillation.export(folder, model, recipe, export, gate)
        subject = _subject(folder, model, distillation.teachers, recipe.preset.max_tokens)
        labels = Labels(pairs=_opener(workspace, pairs), attributes=_opener(workspace, attributes))
        with notes.clock.step("examination"):
            examination = examine(subject, gate, labels, documents)
        notes.examined(recipe.run_id(training_set), model.trained, parity, examination)
        ids = [teacher.manifest.id for teacher in distillation.teachers.opened]
        refuse_unless_passed(examination, ids)
        figures = (*state_measured(model.measured), *parity, *examination.figures, *stated)
        draft = draft_bundle("student", model, recipe, training_set, figures, label_sets)
        if documents:
            draft = replace(draft, same_space=(documents.evidence,))
            (folder / SAME_SPACE_FILE).write_text(canonical_json(draft.same_space), encoding="utf-8")
        manifest = publish_bundle(workspace, folder, replace(draft, parent=ids[0], quantization=f"int8-{export.quantization}"))
    distillation.context(recipe, label_sets).delete_checkpoints()
    return manifest


def try_candidate(distillation: "Distillation", name: str, recipe: Recipe) -> Trial:
    """Distil a candidate by its brief recipe and measure it as int8; nothing is published."""
    model, export = distillation.run(recipe, {})
    with staging_folder(distillation.workspace) as folder:
        distillation.export(folder, model, recipe, export, None)
        limit = recipe.preset.max_tokens
        subject = _subject(folder, model, distillation.teachers, limit)
        texts = Judged.of(folder, subject.held_out, distillation.teachers, JUDGED_TEXTS)
        size = subject.tokenizer.get_vocab_size()
        return Trial(
            name=name,
            agreement=texts.correlation(np.arange(len(texts.text))).value,
            ms_at_32_tokens=measure_milliseconds(folder, SHORT, size),
            ms_at_512_tokens=measure_milliseconds(folder, LONG, size) if limit >= LONG else None,
            int8_mb=(folder / ONNX_INT8_FILE).stat().st_size / 1e6,
        )


def try_without(distillation: "Distillation", without: str, recipe: Recipe, pairs: str | None) -> Ablated:
    """Distil by a brief recipe that lacks a part, and measure what it comes to; nothing is exported or kept."""
    workspace = distillation.workspace
    rendering = distillation.teachers.training_set.rendering
    label_sets = {name: _open_named(workspace, name, rendering) for name in recipe.label_sets}
    model, _ = distillation.run(recipe, label_sets)
    found = measure(model, distillation.teachers, without, recipe.preset.max_tokens, _opener(workspace, pairs))
    distillation.context(recipe, label_sets).delete_checkpoints()
    return found


@dataclass(frozen=True, kw_only=True)
class Distillation:
    """Holds what all recipes of one distillation share."""

    workspace: Workspace
    teachers: Teachers
    machine: Machine
    start_from: str | None
    cross_encoder: CrossEncoder | None = None
    notes: Notes = field(default_factory=Notes)

    def run(self, recipe: Recipe, label_sets: Mapping[str, LabelSet]) -> tuple[Model, ExportGraphs]:
        """The trained model, and how it is to be exported. Projections into the teachers' space are dropped."""
        *stages, export = recipe.stages
        if not isinstance(export, ExportGraphs):
            raise ConfigurationError(f"recipe {recipe.name} does not end with an export", next_step="add ExportGraphs() to it")
        runners = {kind: self.notes.timed(runner) for kind, runner in _runners(self.teachers, self.start_from).items()}
        model = run_stages(stages, self.context(recipe, label_sets), runners)
        return replace(model, heads={name: head for name, head in model.heads.items() if name != imitation.NAME}), export

    def context(self, recipe: Recipe, label_sets: Mapping[str, LabelSet]) -> RunContext:
        learned = {name: label_sets[name] for name in recipe.label_sets}
        run = recipe.run_id(self.teachers.training_set, learned)
        return RunContext(
            training_set=self.teachers.training_set,
            preset=recipe.preset,
            machine=self.machine,
            run=run,
            checkpoints=f"{self.workspace.checkpoints}/{recipe.name}-{recipe.preset.name}-{run}",
            builders=Builders(
                teachers=self.teachers, cross_encoder=self.cross_encoder, open_labels=partial(_open_named, self.workspace)
            ).by_task(),
            label_sets=learned,
        )

    def export(
        self, folder: Path, model: Model, recipe: Recipe, export: ExportGraphs, gate: StudentGate | None
    ) -> tuple[Figure, ...]:
        """Write checkpoint and graphs; without a gate, nothing is refused."""
        write_checkpoint(folder, model, recipe.preset.max_tokens, self.teachers.training_set.rendering)
        parity = gate.parity if gate else NO_THRESHOLDS
        return export_student(folder, model, recipe.preset.max_tokens, export.quantization, parity)


def open_distillation(
    workspace: Workspace,
    training_set: TrainingSet,
    teacher_paths: Sequence[str],
    machine: Machine,
    start_from: str | None,
    cross_encoder: str | None = None,
    notes: Notes | None = None,
) -> Distillation:
    """Open the teachers and the cross-encoder, every byte checked."""
    opened = tuple(open_teacher(path, machine) for path in teacher_paths)
    return Distillation(
        workspace=workspace,
        teachers=Teachers(opened=opened, training_set=training_set, outputs=workspace.teacher_outputs),
        machine=machine,
        start_from=start_from,
        cross_encoder=open_cross_encoder(cross_encoder, machine) if cross_encoder else None,
        notes=notes or Notes(),
    )


def _subject(folder: Path, model: Model, teachers: Teachers, max_tokens: int) -> Subject:
    if model.held_out is None or model.tokenizer is None:
        raise ConfigurationError("there is no text to examine a student on", next_step="give the recipe a vocabulary stage")
    return Subject(folder=folder, tokenizer=model.tokenizer, held_out=model.held_out, teachers=teachers, max_tokens=max_tokens)


def _opener(workspace: Workspace, name: str | None) -> OpenLabels | None:
    """Opens the label set in any rendering."""
    return partial(open_label_set, find_label_set(workspace, name)) if name else None


def _require_kinds(label_sets: Mapping[str, LabelSet], expected: Mapping[str, str | None]) -> None:
    """Refuse, before anything is trained, label sets of another kind than they are used for."""
    rules = {}
    for kind, name in expected.items():
        found = label_sets[name].manifest.kind if name else kind
        rules[f"label set {name} is of kind {found}, expected {kind}"] = found == kind
    require("label sets", rules)


def _open_named(workspace: Workspace, name: str, rendering: Rendering) -> LabelSet:
    return open_label_set(find_label_set(workspace, name), rendering)


def _runners(teachers: Teachers, start_from: str | None) -> dict[type, StageRunner]:
    """The stages that need a bundle, beside those that need only a training set."""

    def take_vocabulary(stage: TakeVocabulary, model: Model, context: RunContext) -> Model:
        teacher = teachers.opened[0]
        refuse_others((stage.bundle,), (teacher.manifest.id,))
        return model.with_vocabulary(teacher.tokenizer, context.training_set, context.preset.max_tokens)

    def begin(stage: BeginWith, model: Model, context: RunContext) -> Model:
        if start_from is None:
            raise ConfigurationError(f"the recipe begins with {stage.bundle}", next_step="give start_from, its path")
        folder, manifest = open_bundle(start_from)
        refuse_others((stage.bundle,), (manifest.id,))
        encoder = load_encoder(folder)
        keep_layers(encoder, stage.layers)
        heads = {} if stage.layers else read_heads(folder, manifest)
        begun = replace(model, encoder=encoder, heads=heads, origin=manifest.origin)
        return begun.with_vocabulary(load_vocabulary(folder), context.training_set, context.preset.max_tokens)

    return {**RUNNERS, TakeVocabulary: take_vocabulary, BeginWith: begin}
