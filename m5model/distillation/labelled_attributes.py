"""A student and its teachers on labelled attributes: values that near texts vote for, overall and per language.

A text of the split test gets, for each attribute that labels ask of it, the value that most of its nearest texts of the split
learn have, weighted by cosine. The fields that state attributes are left out of every text, for there the answer is marked.
Tensor suffixes: N texts, Q questions, D dimensions.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from datasets import Dataset

from m5model.data.label_sets import LabelSet
from m5model.distillation.gaps import Compared, judge_gap, languages_of
from m5model.distillation.labelled_pairs import OpenLabels
from m5model.distillation.subject import Subject
from m5model.distillation.thresholds import Attributes
from m5model.distillation.verdicts import Verdict
from m5model.tasks._texts import without_fields
from m5model.tasks.attribute_extraction import HIDDEN

VOTERS = 5
# Labels read at most of each split: teachers are slow.
LABELS = {"learn": 4_000, "test": 2_000}
FEWEST = 40  # questions: a language with fewer says too little


@dataclass(frozen=True, kw_only=True)
class Labelled:
    """The labels of one split: the distinct texts, and which attribute of which text has which value."""

    texts: list[str]
    place: np.ndarray  # (n,) int64 among the texts, of each label
    name: list[str]
    value: list[str | None]  # None: the text is known to state none
    entity: np.ndarray
    language: np.ndarray


@dataclass(frozen=True, kw_only=True)
class Question:
    """One attribute of one text, and all values that labels say are right."""

    place: int
    name: str
    values: frozenset[str]  # empty: the text states none
    entity: str
    language: str


def judge_attributes(subject: Subject, labelled: OpenLabels, thresholds: Attributes) -> tuple[Verdict, ...]:
    """``attributes_f1_gap``, overall and per language; no figure where a split has no label."""
    labels = labelled(subject.teachers.training_set.rendering)
    learn, test = (read_labels(labels, split) for split in ("learn", "test"))
    if not learn.texts or not test.texts:
        return ()
    theirs = [labelled(one.rendering) for one in subject.teachers.opened]
    student = [subject.student_vectors(side.texts) for side in (learn, test)]
    teacher = [subject.teacher_vectors([read_labels(one, split).texts for one in theirs]) for split in ("learn", "test")]
    return judge_votes(learn, test, student, teacher, thresholds, labels.name)


def judge_votes(
    learn: Labelled,
    test: Labelled,
    student: Sequence[np.ndarray],
    teacher: Sequence[np.ndarray],
    thresholds: Attributes,
    labels: str,
) -> tuple[Verdict, ...]:
    """The verdicts, from vectors of the texts of both splits by each side."""
    questions = ask(test)
    ours, theirs = (count_right(questions, vote(questions, learn, *vectors)) for vectors in (student, teacher))
    compared = Compared(
        name="attributes_f1",
        student=lambda rows: _f1(ours[rows]),
        teacher=lambda rows: _f1(theirs[rows]),
        entity=np.asarray([one.entity for one in questions]),
        language=np.asarray([one.language for one in questions]),
        rows=f"attributes of {labels}, test, by {VOTERS} of {len(learn.texts):,} texts",
        is_enough=lambda rows: len(rows) >= FEWEST,
    )
    return judge_gap(compared, thresholds.limit("max_f1_gap"), thresholds, "max_language_gap")


def read_labels(labels: LabelSet, split: str) -> Labelled:
    """The first labels of the split in the order of their keys, which are hashes."""
    rows: Dataset = labels.splits[split]
    rows = rows.select(range(min(LABELS[split], len(rows))))
    places: dict[
        object, int
    ] = {}  # by the text as the label set names it: two listings may read alike without their attributes
    texts: list[str] = []
    place = []
    for row in rows:
        known = (row["locale"], row["item_id"], row["text"])
        if known[:2] != (None, None):
            known = (*known[:2], None)  # the text depends on the rendering, the key does not
        if known not in places:
            places[known] = len(texts)
            texts.append(without_fields(row, labels, *HIDDEN))
        place.append(places[known])
    return Labelled(
        texts=texts,
        place=np.asarray(place, np.int64),
        name=rows["name"][:],
        value=rows["value"][:],
        entity=np.asarray(rows["entity"][:]),
        language=languages_of(rows["locale"][:]),
    )


def ask(test: Labelled) -> list[Question]:
    """One question for every attribute of every text that labels speak of."""
    found: dict[tuple[int, str], list[int]] = {}
    for row, key in enumerate(zip(test.place.tolist(), test.name, strict=True)):
        found.setdefault(key, []).append(row)
    return [
        Question(
            place=place,
            name=name,
            values=frozenset(value for row in rows if (value := test.value[row]) is not None),
            entity=str(test.entity[rows[0]]),
            language=str(test.language[rows[0]]),
        )
        for (place, name), rows in found.items()
    ]


def vote(questions: Sequence[Question], learn: Labelled, learn_ND: np.ndarray, test_ND: np.ndarray) -> list[str | None]:
    """The value that the nearest labelled texts give to each question; None where they state none, or there is no such text."""
    rows_of = {name: np.flatnonzero(np.asarray(learn.name) == name) for name in {one.name for one in questions}}
    return [_vote(one, rows_of[one.name], learn, learn_ND, test_ND[one.place]) for one in questions]


def count_right(questions: Sequence[Question], guesses: Sequence[str | None]) -> np.ndarray:
    """(Q, 3) int64: right guesses, guesses, and values that there are."""
    counts = [(guess in one.values, guess is not None, len(one.values)) for one, guess in zip(questions, guesses, strict=True)]
    return np.asarray(counts, np.int64).reshape(-1, 3)


def _vote(question: Question, rows: np.ndarray, learn: Labelled, learn_ND: np.ndarray, query_D: np.ndarray) -> str | None:
    if not len(rows):
        return None
    cosines = learn_ND[learn.place[rows]] @ query_D
    nearest = np.argsort(-cosines, kind="stable")[:VOTERS]
    votes: dict[str | None, float] = {}
    for row in nearest.tolist():
        value = learn.value[rows[row]]
        votes[value] = votes.get(value, 0.0) + max(0.0, float(cosines[row]))
    return max(votes, key=lambda value: (votes[value], value or ""))


def _f1(counts_Q3: np.ndarray) -> float:
    """Micro-averaged; NaN where there is neither a guess nor a value."""
    right, guessed, there = counts_Q3.sum(axis=0).tolist()
    return 2 * right / (guessed + there) if guessed + there else float("nan")
