"""Label sets of a few words, and an encoder that is small enough to learn them in a second."""

import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from tokenizers.processors import TemplateProcessing
from torch import Tensor

from m5model.data.label_sets import LabelSet, open_label_set
from m5model.data.set_versions import find_label_set
from m5model.data.vocabulary import CLS_ID, SEP_ID, SPECIAL_TOKENS, UNK_ID
from m5model.encoders.bert import build_encoder
from m5model.encoders.encoder import TextEncoder
from m5model.encoders.presets import EncoderPreset
from m5model.labels.reading import ColumnMap
from m5model.labels.splitting import SplitPlan
from m5model.tasks import AnyTask, TaskData
from m5model.training.config import TrainingConfig
from m5model.training.learner import Learner
from m5model.training.loop import Run, train
from m5model.training.mixture import mix
from schemas.labels import LABEL_KINDS, RELEVANCE
from schemas.workspace import Workspace
from spark.labels.import_labels import ImportSettings, Pinned, import_labels

MICRO = EncoderPreset(
    name="micro", layers=1, hidden_size=32, heads=2, intermediate_size=64, vocabulary_size=400, max_tokens=32, parameters=0
)
THINGS = ("shirt", "shoes", "knife", "lamp", "chair", "bottle")
COLOURS = ("red", "blue", "green", "black", "white", "yellow")
FILLERS = ("new", "sale", "top", "set", "gift", "best", "hot", "offer", "original", "quality", "fast", "free")
BRANDS = {"Acme": "cheap basic", "Zephyr": "light airy", "Nordwind": "warm woollen"}

MakeLabels = Callable[..., LabelSet]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Two threads that wait for each other on a busy machine are many times slower than one."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def make_labels(tmp_path: Path) -> MakeLabels:
    """``make_labels(kind, rows)`` imports and opens a label set."""

    def make(kind: str, rows: Iterable[dict[str, Any]], pin: Callable[..., Pinned] | None = None, **split: Any) -> LabelSet:
        workspace, kind_of = Workspace(str(tmp_path / kind)), LABEL_KINDS[kind]
        settings = ImportSettings(
            name="set", kind=kind_of, columns=ColumnMap(kind=kind_of), split=SplitPlan(**split), max_reject_share=1.0
        )
        import_labels(workspace, settings, rows, pin or (lambda keys: Pinned()))
        return open_label_set(find_label_set(workspace, "set"))

    return make


@dataclass(frozen=True)
class Learned:
    """A task's metric and weights before and after some steps."""

    before: float
    after: float
    encoder: TextEncoder
    head_before: dict[str, Tensor]
    head_after: dict[str, Tensor]

    @property
    def unmoved(self) -> list[str]:
        """Weights of the head that are as they were drawn."""
        return [name for name, tensor in self.head_before.items() if torch.equal(tensor, self.head_after[name])]


def text_of(thing: str, colour: str, draw: random.Random) -> str:
    words = [thing, colour, *draw.sample(FILLERS, 4)]
    draw.shuffle(words)
    return " ".join(words)


def offers(count: int, seed: int = 0) -> list[tuple[str, str, str]]:
    """(thing, colour, text)"""
    draw = random.Random(seed)
    listed = []
    for i in range(count):
        thing, colour = draw.choice(THINGS), draw.choice(COLOURS)
        listed.append((thing, colour, f"{text_of(thing, colour, draw)} {i}"))
    return listed


def tokenizer_of(labels: LabelSet) -> Tokenizer:
    """Every word of the set's texts is a token."""
    sides = [f"{side}text" for side in labels.kind.sides] + ["query"] * (labels.kind is RELEVANCE)
    return words_of({row[side] for rows in labels.splits.values() for row in rows for side in sides})


def words_of(texts: Iterable[str]) -> Tokenizer:
    """Every word of the texts is a token."""
    words = sorted({word for text in texts for word in text.split()})
    ids = {word: number for number, word in enumerate([*SPECIAL_TOKENS, *words])}
    tokenizer = Tokenizer(WordLevel(ids, unk_token=SPECIAL_TOKENS[UNK_ID]))
    tokenizer.pre_tokenizer = WhitespaceSplit()
    tokenizer.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B [SEP]", special_tokens=[("[CLS]", CLS_ID), ("[SEP]", SEP_ID)]
    )
    return tokenizer


def data_of(labels: LabelSet, **more: Any) -> TaskData:
    return TaskData(learn=None, held_out=None, seed=0, labels=labels, tokenizer=tokenizer_of(labels), max_tokens=32, **more)  # type: ignore[arg-type]


def learn(module: Any, settings: Any, data: TaskData, steps: int = 60, rate: float = 5e-3) -> tuple[AnyTask, Learned]:
    """The task after ``steps``, and how it went."""
    encoder = build_encoder(MICRO, data.tokenizer.get_vocab_size(), seed=1)  # type: ignore[union-attr]
    task = module.build(settings, encoder, data)
    learner = Learner(encoder, [task])
    learner.eval()
    head = {name: weight.detach().clone() for name, weight in task.head.named_parameters()}
    before = task.measure(encoder)
    config = TrainingConfig(steps=steps, learning_rate=rate)
    train(Run(label="test", learner=learner, mixture=mix([(task, 1)], "c", 0), config=config))
    return task, Learned(before, task.measure(encoder), encoder, head, dict(task.head.named_parameters()))
