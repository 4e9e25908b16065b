"""Bugs are put back on purpose; a guard names each before the first step. A sound run passes, and nothing of it changes."""

import random
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from datasets import concatenate_datasets

from m5model.data.label_sets import LabelSet, open_label_set
from m5model.data.set_versions import find_label_set
from m5model.data.training_sets import TrainingSet, open_training_set
from m5model.encoders.bert import BertEncoder, build_encoder
from m5model.encoders.presets import TINY, EncoderPreset
from m5model.labels.reading import ColumnMap
from m5model.labels.splitting import SplitPlan
from m5model.tasks import _classes, mlm, product_type
from m5model.training import stages
from m5model.training.config import GUARDS, Machine, TrainingConfig
from m5model.training.guards import NEXT_STEPS, TrainingGuardError
from m5model.training.shares import TaskShare
from m5model.training.stages import RUNNERS, LearnTasks, LearnVocabulary, Model, RunContext, run_stages
from schemas.errors import ConfigurationError
from schemas.labels import LABEL_KINDS
from schemas.workspace import Workspace
from spark.labels.import_labels import ImportSettings, Pinned, import_labels

MICRO = EncoderPreset(
    name="micro", layers=1, hidden_size=32, heads=2, intermediate_size=64, vocabulary_size=400, max_tokens=48, parameters=0
)
MLM = TaskShare(task="mlm", settings=mlm.Settings(token_budget=512))
TYPES = TaskShare(task="product_type", settings=product_type.Settings(token_budget=512), labels="types")


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def workspace(tmp_path_factory, write_training_set) -> Workspace:
    workspace = Workspace(str(tmp_path_factory.mktemp("guards")))
    write_training_set(workspace, rows=160)
    _import(workspace, "types", _rows())
    _import(workspace, "leaking", [{**row, "split": split} for row in _rows() for split in ("learn",)] + _tests(), keep=True)
    return workspace


def _rows() -> list[dict]:
    draw = random.Random(0)
    kinds = {
        "shoe": ("red leather", "blue running"),
        "lamp": ("steel garden", "wood lamp"),
        "knife": ("kitchen knife", "steel"),
    }
    return [
        {"text": f"{draw.choice(kinds[label])} {i}", "scheme": "product_type", "label": label}
        for i, label in enumerate(draw.choices(list(kinds), k=150))
    ]


def _tests() -> list[dict]:
    """The first rows once more, with another class each so that they are no duplicates, in the split validate."""
    return [{**row, "label": "lamp" if row["label"] != "lamp" else "shoe", "split": "validate"} for row in _rows()[:12]]


def _import(workspace: Workspace, name: str, rows: list[dict], **split) -> None:
    kind = LABEL_KINDS["classes"]
    settings = ImportSettings(name=name, kind=kind, columns=ColumnMap(kind=kind), split=SplitPlan(**split))
    import_labels(workspace, settings, rows, lambda keys: Pinned())


@pytest.fixture(scope="module")
def training_set(workspace) -> TrainingSet:
    return open_training_set(workspace.training_set("small", "v1"))


@pytest.fixture(scope="module")
def label_sets(workspace) -> dict[str, LabelSet]:
    return {name: open_label_set(find_label_set(workspace, name)) for name in ("types", "leaking")}


Train = Callable[..., Model]


@pytest.fixture
def train(training_set, label_sets) -> Train:
    """Trains ``tasks`` for two steps after a vocabulary; other stages may stand between."""

    def run(*tasks: TaskShare, rate: float = 1e-3, between: tuple = (), preset=MICRO, **values) -> Model:
        last = LearnTasks(stage="last", tasks=tasks, training=TrainingConfig(steps=2, learning_rate=rate))
        context = RunContext(
            training_set=values.pop("training_set", training_set),
            preset=preset,
            label_sets=label_sets,
            machine=Machine(**values),
        )
        runners = {**RUNNERS, Reload: reload_lossy}
        return run_stages([LearnVocabulary(size=400), *between, last], context, runners)

    return run


def test_every_guard_says_what_to_do_and_a_sound_mixture_passes_them_all(train, capsys) -> None:
    assert set(NEXT_STEPS) == set(GUARDS)
    train(MLM, TYPES)
    line = next(line for line in capsys.readouterr().err.splitlines() if "guards hold" in line)
    for name in set(GUARDS) - {"weights"}:  # this encoder is new
        assert name in line


def test_guards_leave_weights_and_random_numbers_as_they_were(train) -> None:
    guarded, unguarded = train(MLM, TYPES), train(MLM, TYPES, without_guards=GUARDS)
    for name, tensor in unguarded.encoder.state_dict().items():
        assert torch.equal(tensor, guarded.encoder.state_dict()[name]), name
    for task, head in unguarded.heads.items():
        assert all(torch.equal(tensor, guarded.heads[task][name]) for name, tensor in head.items())


@dataclass(frozen=True)
class Reload:
    """Save the encoder and load it again."""

    stage: str = "reload"


def reload_lossy(stage: Reload, model: Model, context: RunContext) -> Model:
    """The bug of 2021: names do not fit, and what does not fit is dropped without a word."""
    saved = {name.replace("transformer.layer", "encoder.layer"): tensor for name, tensor in model.encoder.state_dict().items()}
    encoder = build_encoder(MICRO, model.tokenizer.get_vocab_size(), seed=9)
    encoder.load_state_dict(saved, strict=False)
    return replace(model, encoder=encoder)


def test_weights_that_did_not_load_are_named(train) -> None:
    first = LearnTasks(stage="first", tasks=(MLM,), training=TrainingConfig(steps=3, learning_rate=1e-3))
    train(MLM, between=(first,))
    with pytest.raises(
        TrainingGuardError, match=r"guard_weights_as_new .*transformer\.layer\.0\.attention.*\n.*load the checkpoint"
    ):
        train(MLM, between=(first, Reload()))


def _double_softmax(monkeypatch) -> None:
    once = _classes.Classification.logits
    monkeypatch.setattr(_classes.Classification, "logits", lambda task, encoder, batch: once(task, encoder, batch).softmax(-1))


def test_softmax_applied_twice_is_named(train, monkeypatch) -> None:
    _double_softmax(monkeypatch)
    with pytest.raises(TrainingGuardError, match="guard_logits_product_type_outside_0_to_1 0 "):
        train(TYPES)


def test_logits_that_happen_to_lie_from_0_to_1_are_no_probabilities(train, monkeypatch) -> None:
    once = _classes.Classification.logits
    monkeypatch.setattr(
        _classes.Classification, "logits", lambda task, encoder, batch: once(task, encoder, batch).clamp(-0.5, 9) + 0.5
    )
    monkeypatch.setattr(BertEncoder, "initial_deviation", 1e-3)
    train(TYPES, without_guards=("overfit", "learning_rate", "shuffled_labels"))


def test_masked_targets_shifted_by_one_are_named(train, monkeypatch) -> None:
    sound = mlm.mask_tokens

    def shifted(*arguments):
        masked = sound(*arguments)
        return replace(masked, targets_M=np.roll(masked.targets_M, 1))

    monkeypatch.setattr(mlm, "mask_tokens", shifted)
    with pytest.raises(TrainingGuardError, match="guard_targets_mlm_kept"):
        train(MLM)


def test_classes_shifted_by_one_row_are_named(train, monkeypatch) -> None:
    sound = _classes.Classification.batch

    def shifted(task, step, rows):
        batch = sound(task, step, rows)
        return replace(batch, classes_B=np.roll(batch.classes_B, 1))

    monkeypatch.setattr(_classes.Classification, "batch", shifted)
    with pytest.raises(TrainingGuardError, match="guard_targets_product_type_of_other_rows"):
        train(TYPES)


def test_padding_that_is_attended_to_is_named(train, monkeypatch) -> None:
    sound = BertEncoder.hidden_states
    monkeypatch.setattr(BertEncoder, "hidden_states", lambda self, ids, mask: sound(self, ids, torch.ones_like(mask)))
    with pytest.raises(TrainingGuardError, match="guard_padding_changes_hidden_states"):
        train(MLM)


def test_a_learning_rate_a_hundred_times_too_high_is_named(train) -> None:
    train(MLM, rate=1e-3, preset=TINY)
    with pytest.raises(TrainingGuardError, match=r"guard_learning_rate_mlm_end .*\n.*lower the learning rate"):
        train(MLM, rate=1e-1, preset=TINY)


def test_a_frozen_embedding_is_named(train, monkeypatch) -> None:
    def detached(self, ids, mask):
        words = self.embeddings.word_embeddings(ids).detach()
        return self(inputs_embeds=words, attention_mask=mask).last_hidden_state

    monkeypatch.setattr(BertEncoder, "hidden_states", detached)
    with pytest.raises(TrainingGuardError, match=r"guard_gradients_missing 1 .*encoder\.embeddings\.word_embeddings\.weight"):
        train(TYPES)


def test_weights_that_the_recipe_freezes_are_not_missed_and_do_not_move(training_set, label_sets) -> None:
    share = replace(TYPES, labels="types")
    last = LearnTasks(
        stage="last", tasks=(share,), training=TrainingConfig(steps=3, learning_rate=1e-3), frozen=("embeddings.",)
    )
    context = RunContext(training_set=training_set, preset=MICRO, label_sets=label_sets)
    model = run_stages([LearnVocabulary(size=400), last], context, RUNNERS)
    fresh = build_encoder(MICRO, model.tokenizer.get_vocab_size(), stages.seed_for("weights", 0))
    same = {name for name, tensor in fresh.state_dict().items() if torch.equal(tensor, model.encoder.state_dict()[name])}
    assert {name for name in fresh.state_dict() if name.startswith("embeddings.")} <= same
    assert "transformer.layer.0.ffn.lin1.weight" not in same
    with pytest.raises(ConfigurationError, match="has no weights embedding_typo"):
        run_stages([LearnVocabulary(size=400), replace(last, frozen=("embedding_typo",))], context, RUNNERS)


def test_test_rows_among_those_to_learn_from_are_named(train, training_set, label_sets) -> None:
    mixed = replace(training_set, learn=concatenate_datasets([training_set.learn, training_set.held_out.select([0])]))
    with pytest.raises(TrainingGuardError, match=f"guard_leakage_rows 1 .*key {training_set.held_out[0]['key']}"):
        train(MLM, training_set=mixed)
    with pytest.raises(TrainingGuardError, match="guard_leakage_product_type 12 .*validate: '.* 1"):
        train(replace(TYPES, labels="leaking"))


def test_a_mask_token_that_is_never_put_in_is_named(train, monkeypatch) -> None:
    monkeypatch.setattr(mlm, "MASKED_SHARE", 0.0)
    monkeypatch.setattr(mlm, "RANDOM_SHARE", 0.9)
    with pytest.raises(TrainingGuardError, match="guard_targets_mlm_masked 0 "):
        train(MLM)


def test_a_head_that_begins_far_from_chance_is_named(train, monkeypatch) -> None:
    monkeypatch.setattr(BertEncoder, "initial_deviation", 5.0)
    with pytest.raises(TrainingGuardError, match="guard_chance_product_type_first_loss"):
        train(TYPES)


def test_a_batch_that_cannot_be_learned_by_heart_is_named(train, monkeypatch) -> None:
    sound = _classes.Classification.loss
    monkeypatch.setattr(_classes.Classification, "loss", lambda task, logits, batch: sound(task, logits * 1e-3, batch))
    with pytest.raises(TrainingGuardError, match="guard_overfit_product_type_loss_left"):
        train(TYPES)


def test_a_metric_that_random_labels_satisfy_is_named(train, monkeypatch) -> None:
    answers = iter([0.3, 0.95])
    monkeypatch.setattr(_classes.Classification, "measure", lambda task, encoder: next(answers))
    with pytest.raises(TrainingGuardError, match="guard_shuffled_labels_product_type 0.95"):
        train(TYPES)


def test_a_guard_is_turned_off_by_its_name_and_only_by_one_that_there_is(train, monkeypatch) -> None:
    _double_softmax(monkeypatch)
    train(TYPES, without_guards=("logits", "overfit"))
    with pytest.raises(ConfigurationError, match="without_guards is logit"):
        Machine(without_guards=("logit",))


def test_labels_that_are_missing_of_another_kind_or_not_needed_are_named_at_once(train) -> None:
    shares = (replace(TYPES, labels=""), replace(TYPES, labels="nowhere", name="b"), replace(MLM, labels="types"))
    duplicates = TaskShare(task="duplicates", settings=None, labels="types")
    with pytest.raises(ConfigurationError) as error:
        train(*shares, duplicates)
    for problem in ("product_type: expected a label set of kind classes, found none", "b: there is no label set 'nowhere'",
                    "mlm: expected a label set of kind none, found classes",
                    "duplicates: expected a label set of kind pairs, found classes"):  # fmt: skip
        assert problem in str(error.value)
