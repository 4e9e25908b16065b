"""Judges how much less a student has than its teachers in one metric over labelled rows, overall and per language.

A gap is the teachers' figure minus the student's on the same rows, with an interval over products. A language refuses a student
only where the interval shows that there is a gap.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from m5model.distillation.thresholds import ByLanguage, Limit
from m5model.distillation.verdicts import Verdict, judged
from m5model.gates.intervals import bootstrap
from schemas.locales import LOCALES

LANGUAGE_OF = {locale.code: locale.languages[0] for locale in LOCALES.values()}

Measure = Callable[[np.ndarray], float]  # of rows (n,) int64


@dataclass(frozen=True, kw_only=True)
class Compared:
    """One metric of both sides over the same labelled rows."""

    name: str  # e.g. pairs_roc_auc
    reference: str = "teacher"  # what the side is called that the student is compared with
    student: Measure
    teacher: Measure
    entity: np.ndarray  # (n,) the product of each row
    language: np.ndarray  # (n,) empty where it is not known
    rows: str  # what the rows are, e.g. "pairs of duplicates/v1, test"
    is_enough: Callable[[np.ndarray], bool]  # do these rows of one language say anything?

    def gap(self, rows: np.ndarray) -> float:
        return self.teacher(rows) - self.student(rows)

    def where(self, rows: np.ndarray) -> str:
        return f"{len(rows):,} {self.rows}"


def judge_gap(compared: Compared, limit: Limit, thresholds: ByLanguage, language_limit: str) -> tuple[Verdict, ...]:
    """``NAME_teacher`` (or another reference), ``NAME``, ``NAME_gap``, and ``NAME_gap_LANGUAGE`` of languages with enough rows.

    ``language_limit`` names the threshold of every language in ``thresholds``.
    """
    everything = np.arange(len(compared.entity))
    where = compared.where(everything)
    gap = bootstrap(compared.gap, compared.entity)
    return (
        judged(f"{compared.name}_{compared.reference}", compared.teacher(everything), "none", None, where, ""),
        judged(compared.name, compared.student(everything), "none", None, where, ""),
        judged(f"{compared.name}_gap", gap, "at most", limit.threshold, where, limit.setting),
        *_judge_languages(compared, thresholds, language_limit),
    )


def languages_of(locales: list[str | None]) -> np.ndarray:
    """The first language of each locale (n,); empty where there is no locale."""
    return np.asarray([LANGUAGE_OF.get(locale or "", "") for locale in locales])


def _judge_languages(compared: Compared, thresholds: ByLanguage, name: str) -> list[Verdict]:
    verdicts = []
    for language in sorted(set(compared.language) - {""}):
        rows = np.flatnonzero(compared.language == language)
        if not compared.is_enough(rows):
            continue
        gap = bootstrap(lambda drawn, own=rows: compared.gap(own[drawn]), compared.entity[rows])  # type: ignore[misc]
        limit = thresholds.limit_of(language, name)
        threshold = limit.threshold if gap.low > 0 else None
        figure = f"{compared.name}_gap_{language}"
        verdicts.append(judged(figure, gap, "at most", threshold, compared.where(rows), limit.setting))
    return verdicts
