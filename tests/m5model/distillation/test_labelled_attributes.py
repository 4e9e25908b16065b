"""Attributes that near texts vote for: right values, F1 as defined, and a student whose vectors lost them is refused."""

import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from m5model.data.label_sets import LabelSet, open_label_set
from m5model.data.set_versions import find_label_set, find_training_set
from m5model.data.token_rows import tokenize_rows
from m5model.data.training_sets import open_training_set
from m5model.data.vocabulary import load_vocabulary
from m5model.distillation.labelled_attributes import (
    Labelled,
    ask,
    count_right,
    judge_attributes,
    judge_votes,
    read_labels,
    vote,
)
from m5model.distillation.subject import Subject
from m5model.distillation.teachers import Teachers, open_teacher
from m5model.distillation.thresholds import Attributes
from m5model.distillation.verdicts import nearest_gate
from m5model.labels.reading import ColumnMap
from m5model.labels.splitting import SplitPlan
from m5model.training.config import Machine
from schemas.labels import ATTRIBUTES
from schemas.workspace import Workspace
from spark.labels.import_labels import ImportSettings, Pinned, import_labels

COLOURS = ("red", "blue", "green", "black")


def _labels(count: int, language: str = "de") -> Labelled:
    """Text i states the colour of i."""
    return Labelled(
        texts=[f"text {i}" for i in range(count)],
        place=np.arange(count),
        name=["colour"] * count,
        value=[COLOURS[i % len(COLOURS)] for i in range(count)],
        entity=np.asarray([f"product {i}" for i in range(count)]),
        language=np.asarray([language] * count),
    )


def _vectors(count: int, noise: float, seed: int) -> np.ndarray:
    """Texts of one colour lie together, the more the less noise there is."""
    vectors = np.eye(len(COLOURS), 16)[np.arange(count) % len(COLOURS)]
    vectors = vectors + np.random.default_rng(seed).normal(size=vectors.shape) * noise
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_the_nearest_texts_vote_and_one_that_states_nothing_may_win() -> None:
    learn = replace(_labels(6), value=["red", "red", "blue", None, None, None])
    learn_ND = np.asarray([[1, 0, 0], [0.9, 0.1, 0], [0.8, 0.2, 0], [0, 1, 0], [0, 0.9, 0.1], [0, 0.8, 0.1]])
    questions = ask(replace(_labels(2), value=["red", None]))
    assert vote(questions, learn, learn_ND, np.asarray([[1.0, 0, 0], [0, 1.0, 0]])) == ["red", None]
    assert vote(ask(replace(_labels(1), name=["size"])), learn, learn_ND, np.eye(1, 3)) == [None]


def test_a_guess_is_right_where_it_is_one_of_the_values_and_f1_counts_all_of_them() -> None:
    test = Labelled(
        texts=["a", "b"],
        place=np.asarray([0, 0, 1]),
        name=["colour"] * 3,
        value=["red", "white", None],
        entity=np.asarray(["p", "p", "q"]),
        language=np.asarray(["de", "de", "ja"]),
    )
    questions = ask(test)
    assert [(one.values, one.entity) for one in questions] == [({"red", "white"}, "p"), (frozenset(), "q")]
    assert count_right(questions, ["red", "red"]).tolist() == [[1, 1, 2], [0, 1, 0]]


def test_a_student_that_lost_attributes_is_refused_and_one_that_lost_them_in_japanese_alone_for_japanese() -> None:
    learn, test = _labels(200), _labels(120)
    test = replace(test, language=np.repeat(["de", "ja"], 60))
    good = [_vectors(200, 0.05, 1), _vectors(120, 0.05, 2)]
    noise, japanese = _vectors(120, 5.0, 3), good[1].copy()
    japanese[60:] = noise[60:]
    same = judge_votes(learn, test, good, good, Attributes(), "set")
    assert all(verdict.figure.holds for verdict in same)
    lost = judge_votes(learn, test, [good[0], noise], good, Attributes(), "set")
    assert {one.figure.name for one in lost if not one.figure.holds} >= {"attributes_f1_gap", "attributes_f1_gap_ja"}
    failed = [
        one for one in judge_votes(learn, test, [good[0], japanese], good, Attributes(max_f1_gap=0.6), "set")
        if not one.figure.holds
    ]  # fmt: skip
    assert [one.figure.name for one in failed] == ["attributes_f1_gap_ja"]
    assert nearest_gate(failed).startswith("  [attributes]\n  max_language_gap = 0.")


@pytest.fixture(scope="module")
def attributes(tmp_path_factory) -> LabelSet:
    """Titles that state their colour, as a label set of 120 products."""
    draw, workspace = random.Random(0), Workspace(str(tmp_path_factory.mktemp("labels")))
    rows = []
    for i in range(120):
        colour = draw.choice(COLOURS)
        words = [colour, *draw.sample(["cotton", "shirt", "leather", "shoes", "steel", "knife"], 3)]
        rows.append({"text": f"{' '.join(words)} {i}", "name": "colour", "value": colour, "entity": f"p{i}"})
    plan = SplitPlan(shares={"learn": 0.5, "validate": 0.1, "test": 0.4})
    settings = ImportSettings(name="set", kind=ATTRIBUTES, columns=ColumnMap(kind=ATTRIBUTES), split=plan)
    import_labels(workspace, settings, rows, lambda keys: Pinned())
    return open_label_set(find_label_set(workspace, "set"))


def test_a_student_that_is_its_own_teacher_loses_next_to_nothing_and_both_figures_are_stated(
    trained, attributes, tmp_path: Path
) -> None:
    training_set = open_training_set(find_training_set(trained.workspace, None))
    opened = open_teacher(str(trained.student_folder), Machine(threads=1))
    tokenizer = load_vocabulary(trained.student_folder)
    subject = Subject(
        folder=trained.student_folder,
        tokenizer=tokenizer,
        held_out=tokenize_rows(training_set.held_out, tokenizer, 128),
        teachers=Teachers(opened=(opened,), training_set=training_set, outputs=str(tmp_path)),
        max_tokens=128,
    )
    verdicts = judge_attributes(subject, lambda rendering: attributes, Attributes(max_f1_gap=0.1))
    figures = {one.figure.name: one.figure for one in verdicts}
    assert set(figures) == {"attributes_f1_teacher", "attributes_f1", "attributes_f1_gap"}
    assert figures["attributes_f1_teacher"].value > 0.3  # four colours: a guess is right a quarter of the times
    gap = figures["attributes_f1_gap"]
    assert gap.holds and gap.low <= gap.value <= gap.high
    assert len(read_labels(attributes, "test").texts) == len(attributes.splits["test"])
