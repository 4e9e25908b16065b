"""Verified values: candidates of every question, and trees that say how likely each is right. Kept without pickles."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import lightgbm
import numpy as np

from m5model.partners.attributes.candidates import Known, input_names, propose
from m5model.partners.attributes.dictionary import Dictionary
from m5model.partners.attributes.questions import Question, Questions, accepted_values
from m5model.partners.attributes.reading import TaggedText
from m5model.partners.attributes.votes import Vote, Voters
from m5model.partners.boosting import TreeSettings, fit_trees, load_trees, predict, save_trees
from m5model.partners.data import PartnerData
from m5model.partners.strategy import Given, Scores
from m5model.partners.vectors import Vectors
from schemas.errors import ConfigurationError

FILE = "attributes.json"


class Reader(Protocol):
    """A tagger; see tagger.py, which needs torch."""

    names: tuple[str, ...]

    def read(self, texts: Sequence[str]) -> list[TaggedText]: ...

    def save(self, folder: Path) -> None: ...


@dataclass(frozen=True, kw_only=True)
class Proposed:
    """Candidates of questions, those of a question one after the other."""

    question: np.ndarray  # (k,) int64
    values: list[str]
    inputs: np.ndarray  # (k, f)


class Sources:
    """Holds what proposes values."""

    def __init__(
        self, names: tuple[str, ...], dictionary: Dictionary, voters: Voters | None, taggers: Sequence[Reader]
    ) -> None:
        self.names = names
        self.dictionary = dictionary
        self.voters = voters
        self.taggers = tuple(taggers)

    @property
    def input_names(self) -> tuple[str, ...]:
        return input_names(has_votes=self.voters is not None, has_tags=bool(self.taggers))

    def propose(
        self, questions: Sequence[Question], vectors: Vectors | None, folds: Sequence[int] | None = None, parts: int = 1
    ) -> Proposed:
        """By all sources; with ``folds`` by what other folds taught: tagger t has learned the folds f % parts = t."""
        votes = self._votes(questions, vectors, folds)
        read = self._read(questions, folds, parts)
        places: list[int] = []
        values: list[str] = []
        inputs = []
        for number, question in enumerate(questions):
            known = Known(
                dictionary=self.dictionary,
                attribute=self.names.index(question.name) if question.name in self.names else len(self.names),
                fold=None if folds is None else folds[number],
                vote=votes[number] if votes else None,
                read=read[number] if read else [],
            )
            found, matrix = propose(question, known, has_votes=self.voters is not None, has_tags=bool(self.taggers))
            places += [number] * len(found)
            values += found
            inputs.append(matrix)
        whole = np.concatenate(inputs) if inputs else np.empty((0, len(self.input_names)), np.float32)
        return Proposed(question=np.asarray(places, np.int64), values=values, inputs=whole)

    def _votes(self, questions: Sequence[Question], vectors: Vectors | None, folds: Sequence[int] | None) -> list[Vote] | None:
        if self.voters is None:
            return None
        if vectors is None:
            raise ConfigurationError("the model was fitted with vectors, and there are none", next_step="give --bundle")
        return self.voters.ask(questions, vectors, folds)

    def _read(
        self, questions: Sequence[Question], folds: Sequence[int] | None, parts: int
    ) -> list[list[tuple[TaggedText, int]]] | None:
        if not self.taggers:
            return None
        texts = list(dict.fromkeys(question.text for question in questions))
        tagged = [dict(zip(texts, tagger.read(texts), strict=True)) for tagger in self.taggers]
        found = []
        for number, question in enumerate(questions):
            skipped = None if folds is None else folds[number] % parts
            found.append(
                [
                    (tagged[place][question.text], tagger.names.index(question.name))
                    for place, tagger in enumerate(self.taggers)
                    if place != skipped and question.name in tagger.names
                ]
            )
        return found


class VerifiedValues:
    """A fitted model; see m5model.partners.strategy.Fitted."""

    def __init__(self, sources: Sources, trees: lightgbm.Booster) -> None:
        self.sources = sources
        self._trees = trees

    def scores(self, data: PartnerData, vectors: Vectors | None, rows: np.ndarray) -> Scores:
        """The likeliest value of each row's question, normalised, and its probability; none, and 0, without a candidate."""
        questions = Questions.read(data, rows)
        proposed = self.sources.propose(questions.all, vectors)
        values, said = np.zeros(len(questions.all)), np.full(len(questions.all), None, object)
        if proposed.values:
            found = predict(self._trees, proposed.inputs)
            order = np.lexsort((-found, proposed.question))
            best = order[np.append(True, np.diff(proposed.question[order]) != 0)]
            values[proposed.question[best]] = found[best]
            said[proposed.question[best]] = np.asarray(proposed.values, object)[best]
        return Scores(values=values[questions.of_row], predictions=said[questions.of_row])

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        described = {"names": self.sources.names, "taggers": len(self.sources.taggers)}
        (folder / FILE).write_text(json.dumps(described, ensure_ascii=False), encoding="utf-8")
        self.sources.dictionary.save(folder)
        if self.sources.voters is not None:
            self.sources.voters.save(folder)
        for number, tagger in enumerate(self.sources.taggers):
            tagger.save(folder / f"tagger_{number}")
        save_trees(self._trees, folder)


def verify(
    given: Given, questions: Sequence[Question], folds: Sequence[int], sources: Sources, settings: TreeSettings, parts: int = 1
) -> VerifiedValues:
    """Trees on candidates of learned questions, each proposed by what other folds taught."""
    proposed = sources.propose(questions, given.vectors, folds, parts)
    if not proposed.values:
        raise ConfigurationError("nothing proposes a value", next_step="give labels whose values stand in the texts")
    accepted = [accepted_values(question) for question in questions]
    truth = np.asarray(
        [value in accepted[place] for place, value in zip(proposed.question, proposed.values, strict=True)], bool
    )
    trees = fit_trees(
        proposed.inputs,
        truth,
        np.ones(len(truth)),
        settings,
        objective="binary",
        names=sources.input_names,
        seed=given.seed,
        threads=given.threads,
    )
    return VerifiedValues(sources, trees)


def load_verified(folder: Path, taggers: Sequence[Reader] = ()) -> VerifiedValues:
    said = json.loads((folder / FILE).read_text(encoding="utf-8"))
    sources = Sources(tuple(said["names"]), Dictionary.load(folder), Voters.load(folder), taggers)
    return VerifiedValues(sources, load_trees(folder))


def names_by_use(questions: Sequence[Question]) -> tuple[str, ...]:
    """Attributes, those that most listings state first."""
    counts: dict[str, int] = {}
    for question in questions:
        counts[question.name] = counts.get(question.name, 0) + bool(question.values)
    return tuple(sorted(counts, key=lambda name: (-counts[name], name)))


def folds_by_entity(questions: Sequence[Question], folds: int) -> list[int]:
    """The fold of each question: that of its entity."""
    number = np.unique([question.entity for question in questions], return_inverse=True)[1] % folds
    return [int(one) for one in number]
