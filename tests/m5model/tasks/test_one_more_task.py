"""A task is one file: here one is added from a temporary folder, and trained in a mixture with masked language modelling."""

from pathlib import Path

import pytest
import torch

import m5model.tasks
from m5model.data.training_sets import open_training_set
from m5model.encoders.presets import TINY
from m5model.tasks import mlm
from m5model.training.config import Machine, TrainingConfig
from m5model.training.shares import TaskShare
from m5model.training.stages import RUNNERS, LearnTasks, LearnVocabulary, Model, RunContext, run_stages
from schemas.registry import list_members
from schemas.workspace import Workspace

TASK = '''
"""Which language is a listing written in? Learned from a column of the training set."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from m5model.encoders.encoder import sentence_vectors
from m5model.tasks import Batching, Examples


@dataclass(frozen=True, kw_only=True)
class Settings:
    batch_rows: int = 16


@dataclass(frozen=True, kw_only=True)
class Texts:
    ids_BL: torch.Tensor
    mask_BL: torch.Tensor
    labels_B: torch.Tensor

    @property
    def tokens(self) -> int:
        return self.ids_BL.numel()


class Language:
    metric, lower_is_better, measured_on, outcomes = "accuracy", False, "held-out rows", 3

    def __init__(self, settings, encoder, data):
        self.name = "language"
        self.labels = sorted(set(data.learn.columns["language"]))
        self.examples = Examples(keys=data.learn.keys, lengths=data.learn.lengths)
        self.batching = Batching(batch_rows=settings.batch_rows)
        self.seed = data.seed
        self.head = nn.Linear(encoder.hidden_size, len(self.labels))
        self.data = data

    def batch(self, step, rows):
        return self._texts(self.data.learn, rows)

    def logits(self, encoder, batch):
        return self.head(sentence_vectors(encoder, batch.ids_BL, batch.mask_BL))

    def loss(self, logits, batch):
        return nn.functional.cross_entropy(logits.float(), batch.labels_B)

    @torch.no_grad()
    def measure(self, encoder):
        batch = self._texts(self.data.held_out, np.arange(len(self.data.held_out.keys)))
        return float((self.logits(encoder, batch).argmax(1) == batch.labels_B).float().mean())

    def _texts(self, rows, chosen):
        ids_BL, mask_BL = map(torch.from_numpy, rows.padded(chosen))
        languages = rows.columns[[int(row) for row in chosen]]["language"]
        labels_B = torch.tensor([self.labels.index(language) for language in languages])
        return Texts(ids_BL=ids_BL, mask_BL=mask_BL, labels_B=labels_B)


build = Language
'''


@pytest.fixture
def language(tmp_path: Path, monkeypatch):
    """The module of the added task."""
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks" / "language.py").write_text(TASK, encoding="utf-8")
    monkeypatch.setattr(m5model.tasks, "__path__", [*m5model.tasks.__path__, str(tmp_path / "tasks")])
    import importlib
    import sys

    yield importlib.import_module("m5model.tasks.language")
    del sys.modules["m5model.tasks.language"]


def _run(context: RunContext, settings: object) -> Model:
    tasks = (TaskShare(task="mlm", settings=mlm.Settings()), TaskShare(task="language", settings=settings, steps=3))
    training = TrainingConfig(steps=16, learning_rate=1e-3)
    return run_stages(
        [LearnVocabulary(size=400), LearnTasks(stage="multitask", tasks=tasks, training=training)], context, RUNNERS
    )


def test_a_task_from_one_file_is_found_and_learned_in_a_mixture(tmp_path: Path, write_training_set, language) -> None:
    assert {"language", "mlm"} <= set(list_members(m5model.tasks))
    training_set = open_training_set(str(write_training_set(Workspace(str(tmp_path)), rows=120)))
    machine = Machine(threads=1, checkpoint_every=8)
    context = RunContext(training_set=training_set, preset=TINY, machine=machine, run="r", checkpoints=str(tmp_path / "c"))
    model = _run(context, language.Settings())
    measured = {one.name: one for one in model.measured}
    assert measured["language_accuracy"].after > measured["language_accuracy"].before
    assert measured["mlm_held_out_loss"].after < measured["mlm_held_out_loss"].before
    assert set(model.heads) == {"mlm", "language"}
    resumed = _run(context, language.Settings())
    assert resumed.trained == model.trained
    for name, tensor in model.encoder.state_dict().items():
        assert torch.equal(tensor, resumed.encoder.state_dict()[name]), name
