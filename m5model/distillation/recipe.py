"""A teacher bundle and a training set become a student bundle: one call for a whole run."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer
from transformers import DistilBertModel

from m5model.bundles.find import open_bundle
from m5model.bundles.publish import publish_bundle, staging_folder
from m5model.data.randomness import seed_for
from m5model.data.token_rows import BatchOrder, TokenRows, tokenize_rows
from m5model.data.training_sets import TrainingSet
from m5model.data.vocabulary import load_vocabulary
from m5model.distillation.config import DistillationConfig
from m5model.distillation.losses import encode_rows, judgement_loss
from m5model.encoders.bert import load_encoder
from m5model.encoders.presets import EncoderPreset, get_preset
from m5model.export.parity import pair_correlation
from m5model.export.student import export_student
from m5model.tasks.mlm import MaskedLanguageModel
from m5model.training.checkpoints import Checkpoints
from m5model.training.config import TrainingConfig
from m5model.training.loop import Outcome, Run, StepLoss, choose_device, run_id, train
from m5model.training.progress import say
from m5model.training.teacher import Pretrained, draft_manifest, learn_vocabulary, pretrain_encoder, write_checkpoint
from schemas.bundle import BundleManifest
from schemas.errors import ConfigurationError, GateRefusedError
from schemas.report import JsonValue
from schemas.workspace import Workspace

# Pairs of so many held-out texts are compared before and after: 512 texts are 130,816 pairs.
JUDGED_ROWS = 512


@dataclass(frozen=True)
class Teacher:
    """A teacher bundle, opened: its encoder on the device that computes, and its vocabulary."""

    folder: Path
    manifest: BundleManifest
    encoder: DistilBertModel
    tokenizer: Tokenizer


def open_teacher(path: str, config: TrainingConfig) -> Teacher:
    """Open the bundle at ``path`` (a folder or s3a:// URI), every byte checked. It is only read from here on."""
    folder, manifest = open_bundle(path)
    encoder = load_encoder(folder).to(choose_device(config))  # type: ignore[arg-type]
    return Teacher(folder, manifest, encoder.requires_grad_(False), load_vocabulary(folder))


def distill_student(
    workspace: Workspace,
    training_set: TrainingSet,
    teacher_path: str,
    preset: EncoderPreset,
    config: DistillationConfig,
    start_from: str | None = None,
) -> BundleManifest:
    """Train, export and publish a student of that size; ``start_from`` is a bundle to begin with, instead of own MLM.

    A killed run started again with the same arguments goes on where it was. Raises GateRefusedError where the student does
    not judge like its teacher, or where its graphs do not give its vectors.
    """
    teacher = open_teacher(teacher_path, config.judgements)
    run = run_id("student", preset, config, training_set.manifest.content_hash, teacher.manifest.id, start_from)
    folder = f"{workspace.checkpoints}/student-{preset.name}-{run}"
    own_training = Checkpoints(f"{folder}/mlm", run)
    pretrained = _start(training_set, teacher, preset, config, start_from, own_training)
    judging = Checkpoints(f"{folder}/judgements", run)
    figures = learn_judgements(pretrained, training_set, teacher, config, judging)
    with staging_folder(workspace) as staging:
        write_checkpoint(staging, pretrained, preset)
        figures |= export_student(
            staging, pretrained.learn, pretrained.held_out, preset.max_tokens, config.quantization, config.thresholds
        )
        draft = replace(
            draft_manifest("student", pretrained, preset, training_set),
            parent=teacher.manifest.id,
            quantization=f"int8-{config.quantization}",
            gate={**pretrained.figures, **figures},
        )
        manifest = publish_bundle(workspace, staging, draft)
    own_training.delete()
    judging.delete()
    return manifest


def learn_judgements(
    pretrained: Pretrained, training_set: TrainingSet, teacher: Teacher, config: DistillationConfig, checkpoints: Checkpoints
) -> dict[str, JsonValue]:
    """Teach the student in place; returns the correlation of its judgements with the teacher's before and after.

    Raises GateRefusedError below ``config.min_correlation``.
    """
    length = teacher.manifest.max_tokens
    lessons = tokenize_rows(training_set.learn, teacher.tokenizer, length)
    questions = tokenize_rows(training_set.held_out, teacher.tokenizer, length)
    student = pretrained.model.encoder.to(choose_device(config.judgements))  # type: ignore[arg-type]
    before = judgement_correlation(student, pretrained.held_out, teacher.encoder, questions)
    outcome = _train_on_judgements(student, pretrained.learn, teacher.encoder, lessons, training_set, config, checkpoints)
    after = judgement_correlation(student, pretrained.held_out, teacher.encoder, questions)
    say(f"judgements: correlation with the teacher {before:.4f} before, {after:.4f} after {outcome.steps:,} steps")
    if not after >= config.min_correlation:
        raise GateRefusedError(
            f"the student does not judge like {teacher.manifest.id}: correlation {after:.4f} < {config.min_correlation}",
            next_step="give more steps; nothing was released",
        )
    return {
        "judgement_correlation_before": before,
        "judgement_correlation_after": after,
        "judgement_correlation_threshold": config.min_correlation,
        "judgement_loss_last_step": outcome.last_loss,
        "judgement_steps": outcome.steps,
        "judgement_consumed_hash": outcome.consumed_hash,
    }


@torch.inference_mode()
def judgement_correlation(
    student: DistilBertModel, student_rows: TokenRows, teacher: DistilBertModel, teacher_rows: TokenRows
) -> float:
    """Pearson correlation of both encoders' similarities over pairs of the same rows, -1 to 1."""
    chosen = np.argsort(student_rows.keys, kind="stable")[:JUDGED_ROWS]

    def vectors(encoder: DistilBertModel, rows: TokenRows) -> np.ndarray:
        encoder.eval()
        parts = [encode_rows(encoder, rows, chosen[start : start + 32]).cpu() for start in range(0, len(chosen), 32)]
        return torch.cat(parts).numpy()

    return pair_correlation(vectors(student, student_rows), vectors(teacher, teacher_rows))


def _train_on_judgements(
    student: DistilBertModel,
    student_rows: TokenRows,
    teacher: DistilBertModel,
    teacher_rows: TokenRows,
    training_set: TrainingSet,
    config: DistillationConfig,
    checkpoints: Checkpoints,
) -> Outcome:
    def loss(step: int, batch: np.ndarray) -> StepLoss:
        with torch.no_grad():
            target_BE = encode_rows(teacher, teacher_rows, batch)
        vectors_BD = encode_rows(student, student_rows, batch)
        return StepLoss(judgement_loss(vectors_BD, target_BE), int(student_rows.lengths[batch].sum()))

    settings = config.judgements
    order = BatchOrder(
        student_rows.lengths,
        content_hash=training_set.manifest.content_hash,
        seed=seed_for("judgements", settings.seed),
        batch_rows=config.batch_rows,
    )
    return train(
        Run(
            label="judgements",
            model=student,
            config=settings,
            order=order,
            keys=student_rows.keys,
            loss=loss,
            checkpoints=checkpoints,
        )
    )


def _start(
    training_set: TrainingSet,
    teacher: Teacher,
    preset: EncoderPreset,
    config: DistillationConfig,
    start_from: str | None,
    checkpoints: Checkpoints,
) -> Pretrained:
    """The student before it sees its teacher: after its own short MLM, or as another bundle left it."""
    if start_from is None:
        tokenizer = _choose_vocabulary(training_set, teacher, preset, config.mlm.seed)
        return pretrain_encoder(training_set, preset, config.mlm, tokenizer, checkpoints)
    folder, manifest = open_bundle(start_from)
    _refuse_other_geometry(manifest, preset)
    tokenizer = load_vocabulary(folder)
    learn = tokenize_rows(training_set.learn, tokenizer, preset.max_tokens)
    held_out = tokenize_rows(training_set.held_out, tokenizer, preset.max_tokens)
    model = MaskedLanguageModel(load_encoder(folder))
    return Pretrained(model, tokenizer, learn, held_out, {"started_from": manifest.id})


def _refuse_other_geometry(manifest: BundleManifest, preset: EncoderPreset) -> None:
    found = f"{manifest.layers} layers x {manifest.hidden_size}, {manifest.max_tokens} tokens"
    expected = f"{preset.layers} layers x {preset.hidden_size}, {preset.max_tokens} tokens"
    if found != expected:
        raise ConfigurationError(
            f"cannot begin with {manifest.id}: it has {found}, preset {preset.name} has {expected}",
            next_step=f"give --preset {manifest.preset}, or begin without a bundle",
        )


def _choose_vocabulary(training_set: TrainingSet, teacher: Teacher, preset: EncoderPreset, seed: int) -> Tokenizer:
    """The teacher's vocabulary where the student's preset asks for the same size, else one learned for it."""
    if get_preset(teacher.manifest.preset).vocabulary_size == preset.vocabulary_size:
        return teacher.tokenizer
    return learn_vocabulary(training_set, preset.vocabulary_size, seed)
