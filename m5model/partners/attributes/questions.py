"""A partner's rows as questions: which value of this attribute does this listing state?"""

from dataclasses import dataclass

import numpy as np

from m5model.partners.data import PartnerData
from m5model.partners.values import normalise_value
from schemas.partner import LANGUAGE


@dataclass(frozen=True, kw_only=True)
class Question:
    """An attribute of a listing, and what the labels say of it."""

    text: str
    name: str
    language: str | None
    category: str
    entity: str
    values: tuple[str, ...]  # as they were written; none where the listing states none


@dataclass(frozen=True, kw_only=True)
class Questions:
    """Different questions, and which one each row (k) asks."""

    all: tuple[Question, ...]
    of_row: np.ndarray  # (k,) int64

    @classmethod
    def read(cls, data: PartnerData, rows: np.ndarray) -> "Questions":
        """The questions of these rows."""
        chosen = data.select(rows)
        columns = [chosen.column(name).tolist() for name in ("text", "name", LANGUAGE, "category", "entity", "value")]
        place: dict[tuple[str, str], int] = {}
        first: list[tuple[str, str, str | None, str, str]] = []
        values: list[list[str]] = []
        of_row = []
        for text, name, language, category, entity, value in zip(*columns, strict=True):
            number = place.setdefault((text, name), len(place))
            if number == len(first):
                first.append((text, name, language, category or "", entity))
                values.append([])
            if value:
                values[number].append(value)
            of_row.append(number)
        questions = tuple(
            Question(text=text, name=name, language=language, category=category, entity=entity, values=tuple(values[number]))
            for number, (text, name, language, category, entity) in enumerate(first)
        )
        return cls(all=questions, of_row=np.asarray(of_row, np.int64))


def accepted_values(question: Question) -> frozenset[str]:
    """The true values, normalised."""
    return frozenset(normalise_value(value, question.language) for value in question.values)
