"""A dictionary of values that were labelled, with how often a text that holds one was labelled with it.

Counts are kept by fold, so that a question is judged by what other entities taught.
"""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from m5model.partners.attributes.questions import Question
from m5model.partners.attributes.surface import Found, Shapes, Surface, shape_of
from m5model.partners.values import normalise_value

FILE = "dictionary.json"
ALL = -1  # the fold that is all of them together
Key = tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Entry:
    """Holds what the dictionary knows of a place in a text, as an answer to a question."""

    found: Found
    value: str  # normalised
    labelled: int  # questions of this attribute whose value has this shape
    held: int  # questions of this attribute whose text holds the shape
    labelled_here: int  # the same two, of the listing's category
    held_here: int
    exact: int  # questions of this attribute with this very value
    elsewhere: int  # questions of other attributes whose value has this shape


class Dictionary:
    """Counts by fold. A key's first part says what is counted."""

    def __init__(self, counts: Counter[tuple[Key, int]], shapes: dict[str, tuple[str, ...]]) -> None:
        self._counts = counts
        self._shapes = {name: Shapes(known) for name, known in shapes.items()}
        self._all = Shapes({shape for known in shapes.values() for shape in known})

    @classmethod
    def fit(cls, questions: Sequence[Question], folds: Sequence[int]) -> "Dictionary":
        """Every value of ``questions`` is an entry; ``folds`` say which fold each question is in."""
        shapes: dict[str, set[str]] = {}
        for question in questions:
            shapes.setdefault(question.name, set()).update(shape_of(value) for value in question.values)
        counts: Counter[tuple[Key, int]] = Counter()
        made = cls(counts, {name: tuple(sorted(known)) for name, known in shapes.items()})
        for question, fold in zip(questions, folds, strict=True):
            for key in made._keys(question):
                counts[key, fold] += 1
                counts[key, ALL] += 1
        return made

    def look_up(self, question: Question, fold: int | None = None) -> list[Entry]:
        """Entries in the question's text, by what all folds but ``fold`` taught."""
        if question.name not in self._shapes:
            return []
        entries = (self._entry(question, found, fold) for found in _surface(question.text).find(self._shapes[question.name]))
        return [entry for entry in entries if entry.labelled > 0]

    def stated_share(self, question: Question, fold: int | None = None) -> tuple[float, float]:
        """Returns how many questions of this attribute (and category) there were, and the share of those that had a value."""
        asked = self._count(("asked", question.name, question.category), fold)
        stated = self._count(("stated", question.name, question.category), fold)
        return float(asked), stated / asked if asked else float("nan")

    def save(self, folder: Path) -> None:
        kept = {
            "shapes": {name: sorted(shapes.known) for name, shapes in self._shapes.items()},
            "counts": [[list(key), count] for (key, fold), count in sorted(self._counts.items()) if fold == ALL],
        }
        (folder / FILE).write_text(json.dumps(kept, ensure_ascii=False), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> "Dictionary":
        kept = json.loads((folder / FILE).read_text(encoding="utf-8"))
        counts = Counter({(tuple(key), ALL): count for key, count in kept["counts"]})
        return cls(counts, {name: tuple(shapes) for name, shapes in kept["shapes"].items()})

    def _keys(self, question: Question) -> Iterable[Key]:
        """Returns what a labelled question counts for, once each."""
        name, category = question.name, question.category
        yield ("asked", name, category)
        if question.values:
            yield ("stated", name, category)
        labelled = {shape_of(value) for value in question.values}
        for shape in labelled:
            yield ("labelled", name, shape)
            yield ("labelled", name, shape, category)
            yield ("shape", shape)
        for value in {normalise_value(value, question.language) for value in question.values}:
            yield ("exact", name, value)
        for shape in {found.shape for found in _surface(question.text).find(self._shapes[name])} | labelled:
            yield ("held", name, shape)
            yield ("held", name, shape, category)

    def _entry(self, question: Question, found: Found, fold: int | None) -> Entry:
        name, shape, category = question.name, found.shape, question.category
        value = normalise_value(question.text[found.start : found.end], question.language)
        labelled = self._count(("labelled", name, shape), fold)
        return Entry(
            found=found,
            value=value,
            labelled=labelled,
            held=self._count(("held", name, shape), fold),
            labelled_here=self._count(("labelled", name, shape, category), fold),
            held_here=self._count(("held", name, shape, category), fold),
            exact=self._count(("exact", name, value), fold),
            elsewhere=self._count(("shape", shape), fold) - labelled,
        )

    def _count(self, key: Key, fold: int | None) -> int:
        return self._counts[key, ALL] - (0 if fold is None else self._counts[key, fold])


def _surface(text: str) -> Surface:
    return Surface.of(text)
