"""Vocabulary, then MLM, then a teacher bundle: one call for a whole run."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from safetensors.torch import save_file
from tokenizers import Tokenizer

from m5model.bundles.publish import NO_QUANTIZATION, POOLING, publish_bundle, staging_folder
from m5model.data.randomness import generator_for, seed_for
from m5model.data.token_rows import TokenRows, tokenize_rows
from m5model.data.training_sets import TrainingSet
from m5model.data.vocabulary import save_vocabulary, train_vocabulary
from m5model.encoders.bert import build_encoder, count_parameters, save_encoder
from m5model.encoders.presets import EncoderPreset
from m5model.runtime import RUNTIME
from m5model.runtime.rendering import DEFAULT_RENDERING
from m5model.tasks.mlm import MaskedLanguageModel, held_out_loss, pretrain
from m5model.training.checkpoints import Checkpoints
from m5model.training.config import TrainingConfig
from m5model.training.loop import run_id
from m5model.training.progress import say
from schemas.bundle import BundleManifest
from schemas.errors import GateRefusedError
from schemas.report import JsonValue
from schemas.workspace import Workspace

# More texts hardly change a vocabulary, and its trainer holds them all in memory.
VOCABULARY_TEXTS = 1_000_000
MLM_HEAD_FILE = "heads/mlm.safetensors"


@dataclass(frozen=True)
class Pretrained:
    """A model after MLM, its vocabulary and rows, and how it went (figures for a manifest's gate)."""

    model: MaskedLanguageModel
    tokenizer: Tokenizer
    learn: TokenRows
    held_out: TokenRows
    figures: dict[str, JsonValue]


def train_teacher(
    workspace: Workspace, training_set: TrainingSet, preset: EncoderPreset, config: TrainingConfig
) -> BundleManifest:
    """Train and publish a teacher of that size. A killed run started again with the same arguments goes on where it was.

    Raises GateRefusedError where the loss on held-out rows did not fall.
    """
    run = run_id("teacher", preset, config, training_set.manifest.content_hash, DEFAULT_RENDERING.rendering_id)
    checkpoints = Checkpoints(f"{workspace.checkpoints}/teacher-{preset.name}-{run}", run)
    tokenizer = learn_vocabulary(training_set, preset.vocabulary_size, config.seed)
    pretrained = pretrain_encoder(training_set, preset, config, tokenizer, checkpoints)
    refuse_unless_learned(pretrained.figures)
    with staging_folder(workspace) as folder:
        write_checkpoint(folder, pretrained, preset)
        manifest = publish_bundle(workspace, folder, draft_manifest("teacher", pretrained, preset, training_set))
    checkpoints.delete()
    return manifest


def learn_vocabulary(training_set: TrainingSet, size: int, seed: int) -> Tokenizer:
    """A vocabulary from the rows to learn from, of at most ``size`` tokens."""
    rows = training_set.learn
    if len(rows) > VOCABULARY_TEXTS:
        drawn = generator_for("vocabulary", training_set.manifest.content_hash, seed).permutation(len(rows))
        rows = rows.select(drawn[:VOCABULARY_TEXTS])
    tokenizer = train_vocabulary((text for batch in rows.iter(1_000) for text in batch["text"]), size)
    say(f"vocabulary: {tokenizer.get_vocab_size():,} tokens from {len(rows):,} texts (asked for {size:,})")
    return tokenizer


def pretrain_encoder(
    training_set: TrainingSet, preset: EncoderPreset, config: TrainingConfig, tokenizer: Tokenizer, checkpoints: Checkpoints
) -> Pretrained:
    """MLM on the set's rows, with the loss on held-out rows before and after."""
    learn = tokenize_rows(training_set.learn, tokenizer, preset.max_tokens)
    held_out = tokenize_rows(training_set.held_out, tokenizer, preset.max_tokens)
    encoder = build_encoder(preset, tokenizer.get_vocab_size(), seed_for("weights", config.seed))
    model = MaskedLanguageModel(encoder)
    before = held_out_loss(model, held_out, config)
    outcome = pretrain(model, learn, config, training_set.manifest.content_hash, checkpoints, f"MLM {preset.name}")
    after = held_out_loss(model, held_out, config)
    say(f"MLM {preset.name}: held-out loss {before:.4f} before, {after:.4f} after {outcome.steps:,} steps")
    figures: dict[str, JsonValue] = {
        "mlm_held_out_loss_before": before,
        "mlm_held_out_loss_after": after,
        "mlm_loss_last_step": outcome.last_loss,
        "mlm_steps": outcome.steps,
        "mlm_consumed_hash": outcome.consumed_hash,
        "mlm_threshold": "held-out loss after < before",
    }
    return Pretrained(model, tokenizer, learn, held_out, figures)


def refuse_unless_learned(figures: dict[str, JsonValue]) -> None:
    """Raise GateRefusedError unless the held-out loss fell."""
    before, after = figures["mlm_held_out_loss_before"], figures["mlm_held_out_loss_after"]
    if not float(after) < float(before):  # type: ignore[arg-type]
        raise GateRefusedError(
            f"MLM did not learn: held-out loss {after} after {figures['mlm_steps']} steps, {before} before",
            next_step="give more steps, or a lower learning rate",
        )


def write_checkpoint(folder: Path, pretrained: Pretrained, preset: EncoderPreset) -> None:
    """The encoder as a Hugging Face checkpoint, its vocabulary, and the MLM head beside it for those who train on."""
    model = pretrained.model.cpu()
    save_encoder(folder, model.encoder, preset.max_tokens)
    save_vocabulary(folder, pretrained.tokenizer, preset.max_tokens)
    head = {name: tensor for name, tensor in model.state_dict().items() if not name.startswith("encoder.")}
    (folder / MLM_HEAD_FILE).parent.mkdir()
    save_file(head, folder / MLM_HEAD_FILE)


def draft_manifest(kind: str, pretrained: Pretrained, preset: EncoderPreset, training_set: TrainingSet) -> BundleManifest:
    """A manifest without what follows from the files: id, space ids, hashes."""
    encoder = pretrained.model.encoder
    return BundleManifest(
        id="",
        space_id="",
        space_id_fp32="",
        kind=kind,  # type: ignore[arg-type]
        preset=preset.name,
        created_at=datetime.now(UTC).isoformat(timespec="milliseconds"),
        parameters=count_parameters(encoder),
        hidden_size=preset.hidden_size,
        layers=preset.layers,
        vocabulary_size=pretrained.tokenizer.get_vocab_size(),
        max_tokens=preset.max_tokens,
        pooling=POOLING,
        rendering=DEFAULT_RENDERING.as_json(),
        runtime=RUNTIME,
        quantization=NO_QUANTIZATION,
        training_set=training_set.reference,
        parent=None,
        gate=pretrained.figures,
        files={},
    )
