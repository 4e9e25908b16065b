"""Of attributes: what can be given out where 85% must be right? A threshold for each attribute and language, from validate.

Resplits say whether promises are kept: validate and test are mixed and halved anew by entity, thresholds come from one half and
are judged on the other. The model is the same in all of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from m5model.data.randomness import generator_for
from m5model.gates.evidence import state
from m5model.partners.data import PartnerData
from m5model.partners.evaluation.curves import draw_answers
from m5model.partners.evaluation.promise import MIN_ROWS, Promise, promised_threshold
from m5model.partners.evaluation.scored import Scored, predicted
from m5model.partners.finding import Findings
from m5model.partners.vectors import Vectors
from schemas.figure import Figure
from schemas.partner import LANGUAGE

if TYPE_CHECKING:
    from m5model.partners.experiment import Judged

TOP = 8  # attributes of a language, those that most learned listings state
RESPLITS = 20
PROMISE = Promise()
COLUMNS = ("language", "name", "calibrated_on", "threshold", "tested_on", "coverage", "precision")


@dataclass(frozen=True, kw_only=True)
class Answers:
    """Answers to different questions (n), one an entity and attribute."""

    language: np.ndarray  # text, "" where it is not stated
    name: np.ndarray
    entity: np.ndarray
    confidence: np.ndarray  # 0 where nothing was proposed
    right: np.ndarray  # bool
    stated: np.ndarray  # bool

    def select(self, rows: np.ndarray) -> Answers:
        return Answers(**{name: values[rows] for name, values in vars(self).items()})

    @classmethod
    def join(cls, one: Answers, other: Answers) -> Answers:
        return cls(**{name: np.concatenate([values, vars(other)[name]]) for name, values in vars(one).items()})


@dataclass(frozen=True, kw_only=True)
class Kept:
    """A threshold, and what it was worth on other rows."""

    language: str
    name: str
    calibrated_on: int
    threshold: float | None
    tested_on: int  # rows that state a value
    answered_stated: int
    answered: int
    right: int

    def as_row(self) -> dict[str, object]:
        coverage = self.answered_stated / self.tested_on if self.tested_on else None
        precision = self.right / self.answered if self.answered else None
        values = (self.language, self.name, self.calibrated_on, self.threshold, self.tested_on, coverage, precision)
        return dict(zip(COLUMNS, values, strict=True))


def find(data: PartnerData, vectors: Vectors | None, judged: Judged) -> Findings:
    """Thresholds, what they cover on test, and how many promises resplits see broken."""
    validate, test = (read_answers(data, data.rows_of(split), getattr(judged, split)) for split in ("validate", "test"))
    chosen = _top_attributes(data)
    kept = list(keep_promises(chosen, validate, test))
    table = pa.Table.from_pylist([one.as_row() for one in kept], _SCHEMA)
    figures = [figure for language in dict.fromkeys(one.language for one in kept) for figure in _coverage(kept, language)]
    return Findings(
        figures=(*figures, *_resplit(chosen, validate, test)),
        pictures=(draw_answers({judged.name: judged.test}),),
        tables={"thresholds": table},
    )


def read_answers(data: PartnerData, rows: np.ndarray, scored: Scored) -> Answers:
    """One answer for every entity and attribute: the first row's."""
    chosen = data.select(rows)
    said, confidence = predicted(scored)
    name, entity = chosen.column("name").astype(str), chosen.entity.astype(str)
    language = np.asarray([one or "" for one in chosen.column(LANGUAGE)], object)
    found = Answers(
        language=language,
        name=name,
        entity=entity,
        confidence=np.where([one is not None for one in said], confidence, 0.0),
        right=np.zeros(len(rows), bool) if scored.right is None else scored.right,
        stated=np.ones(len(rows), bool) if scored.stated is None else scored.stated,
    )
    first: dict[tuple[str, str], int] = {}
    for place, key in enumerate(zip(name, entity, strict=True)):
        first.setdefault(key, place)
    return found.select(np.asarray(list(first.values()), np.int64))


def keep_promises(chosen: list[tuple[str, str]], calibration: Answers, test: Answers) -> Iterator[Kept]:
    """A threshold for each language and attribute, and what it lets through in other rows."""
    for language, name in chosen:
        inside, outside = (
            part.select(np.flatnonzero((part.language == language) & (part.name == name))) for part in (calibration, test)
        )
        threshold = promised_threshold(inside.confidence, inside.right, PROMISE)
        passed = outside.confidence >= (np.inf if threshold is None else threshold)
        yield Kept(
            language=language,
            name=name,
            calibrated_on=len(inside.name),
            threshold=threshold,
            tested_on=int(outside.stated.sum()),
            answered_stated=int((passed & outside.stated).sum()),
            answered=int(passed.sum()),
            right=int((passed & outside.right).sum()),
        )


def _top_attributes(data: PartnerData) -> list[tuple[str, str]]:
    """Language and name of the attributes that most learned rows state."""
    learned = data.select(data.rows_of("learn"))
    counts: dict[tuple[str, str], int] = {}
    columns = (learned.column(name).tolist() for name in (LANGUAGE, "name", "value"))
    for language, name, value in zip(*columns, strict=True):
        counts[language or "", name] = counts.get((language or "", name), 0) + (value is not None)
    ordered = sorted(counts, key=lambda key: (key[0], -counts[key], key[1]))
    languages = sorted({language for language, _ in ordered})
    return [key for one in languages for key in [key for key in ordered if key[0] == one][:TOP]]


def _coverage(kept: list[Kept], language: str) -> tuple[Figure, Figure]:
    own = [one for one in kept if one.language == language]
    stated, answered = sum(one.tested_on for one in own), sum(one.answered for one in own)
    covered, right = sum(one.answered_stated for one in own), sum(one.right for one in own)
    proved = sum(one.threshold is not None for one in own)
    measured_on = f"{stated:,} stated values of test, {proved} of {len(own)} attributes with a threshold from validate"
    ending = f"_{language}" if language else ""
    return (
        state(f"promised_coverage_top{TOP}{ending}", covered / stated if stated else None, measured_on),
        state(f"promised_precision_top{TOP}{ending}", right / answered if answered else None, f"{answered:,} answers of test"),
    )


def _resplit(chosen: list[tuple[str, str]], validate: Answers, test: Answers) -> tuple[Figure, ...]:
    """The share of promises that the other half breaks, and the coverage, over RESPLITS halves."""
    both = Answers.join(validate, test)
    entities = np.unique(both.entity)
    made = broken = covered = stated = 0
    for number in range(RESPLITS):
        half = set(generator_for("resplit", number).permutation(entities)[: len(entities) // 2].tolist())
        inside = np.asarray([entity in half for entity in both.entity], bool)
        parts = (both.select(np.flatnonzero(inside)), both.select(np.flatnonzero(~inside)))
        for one in keep_promises(chosen, *parts):
            covered, stated = covered + one.answered_stated, stated + one.tested_on
            if one.threshold is not None and one.answered >= MIN_ROWS:
                made, broken = made + 1, broken + (one.right < PROMISE.precision * one.answered)
    measured_on = (
        f"{RESPLITS} resplits, {made} promises that {MIN_ROWS} answers or more judge; {1 - PROMISE.confidence:.0%} may break"
    )
    return (
        state("promises_broken", broken / made if made else None, measured_on),
        state("resplit_coverage", covered / stated if stated else None, measured_on),
    )


_SCHEMA = pa.schema(
    [
        pa.field(name, pa.string() if name in ("language", "name") else pa.int64() if name.endswith("_on") else pa.float64())
        for name in COLUMNS
    ]
)
