"""A teacher bundle: a recipe is run on a training set, its gate is asked, and the checkpoint is published."""

from dataclasses import replace

from m5model.bundles.draft import BundleDraft, draft_bundle, write_checkpoint
from m5model.bundles.publish import publish_bundle
from m5model.data.label_sets import open_label_set
from m5model.data.set_versions import find_label_set
from m5model.data.training_sets import TrainingSet
from m5model.files.staging import staging_folder
from m5model.gates.evidence import refuse_unless_all_hold
from m5model.gates.learning import figures_that_must_improve
from m5model.training.config import Machine
from m5model.training.processes import join_processes
from m5model.training.recipes import Recipe
from m5model.training.rehearsal import Rehearsal, StageEstimate
from m5model.training.stages import LearnTasks, Model, RunContext, run_stages
from m5model.training.starting import Source, starting_runners
from schemas.bundle import BundleManifest
from schemas.workspace import Workspace


def train_teacher(
    workspace: Workspace,
    training_set: TrainingSet,
    recipe: Recipe,
    machine: Machine | None = None,
    source: Source | None = None,
) -> BundleManifest:
    """Train and publish a teacher, on the training set and the label sets that the recipe names.

    ``source`` is the checkpoint that the recipe begins with, if any. A killed run started again with the same arguments goes on
    where it was. Raises GateRefusedError where a task did not get better on held-out rows. Of several processes that torchrun
    started, the first one writes.
    """
    processes = join_processes()
    with processes.first_goes_first():
        context = replace(_context(workspace, training_set, recipe, machine or Machine()), processes=processes)
    model = run_stages(recipe.stages, context, starting_runners(source))
    figures = figures_that_must_improve(model.measured)
    refuse_unless_all_hold(figures, "the model did not learn", "give more steps, or a lower learning rate")
    draft = draft_bundle("teacher", model, recipe, training_set, figures, context.label_sets)
    manifest = processes.share(_publish(workspace, model, draft) if processes.is_first else None)
    if processes.is_first:
        context.delete_checkpoints()
    return manifest


def _publish(workspace: Workspace, model: Model, draft: BundleDraft) -> BundleManifest:
    with staging_folder(workspace) as folder:
        write_checkpoint(folder, model, draft.max_tokens, draft.rendering)
        return publish_bundle(workspace, folder, draft)


def rehearse_teacher(
    workspace: Workspace,
    training_set: TrainingSet,
    recipe: Recipe,
    machine: Machine | None = None,
    source: Source | None = None,
) -> list[StageEstimate]:
    """Estimates what training that teacher would take, stage by stage. Trains, writes and keeps nothing."""
    context = replace(_context(workspace, training_set, recipe, machine or Machine()), checkpoints=None)
    rehearsal = Rehearsal()
    run_stages(recipe.stages, context, {**starting_runners(source), LearnTasks: rehearsal.learn_tasks})
    return rehearsal.estimates


def _context(workspace: Workspace, training_set: TrainingSet, recipe: Recipe, machine: Machine) -> RunContext:
    label_sets = {name: open_label_set(find_label_set(workspace, name), training_set.rendering) for name in recipe.label_sets}
    run = recipe.run_id(training_set, label_sets)
    return RunContext(
        training_set=training_set,
        preset=recipe.preset,
        machine=machine,
        run=run,
        checkpoints=f"{workspace.checkpoints}/{recipe.name}-{recipe.preset.name}-{run}",
        label_sets=label_sets,
    )
