"""A student and its teachers on labelled pairs of the split test: matches found, overall and per language.

Gaps are the teachers' figure minus the student's, on the same rows, with an interval over products. Tensor suffixes: P pairs,
N texts, D dimensions.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from datasets import Dataset

from m5model.data.label_sets import LabelSet
from m5model.distillation.gaps import Compared, judge_gap, languages_of
from m5model.distillation.subject import Subject
from m5model.distillation.thresholds import Pairs
from m5model.distillation.verdicts import Verdict
from m5model.gates.metrics import average_precision, recall_at, roc_auc
from m5model.runtime.rendering import Rendering

NEIGHBOURS = 10
# Pairs compared at most: teachers are slow, and more make intervals little narrower.
PAIRS = 2_000
# A language with fewer matches, or fewer other pairs, says too little.
FEWEST = 20

OpenLabels = Callable[[Rendering], LabelSet]  # the label set with its texts in that rendering
Metric = Callable[[np.ndarray, np.ndarray], float]
Search = tuple[np.ndarray, np.ndarray]  # vectors of the texts (N, D) that ask, and that are found


@dataclass(frozen=True, kw_only=True)
class ScoredPairs:
    """Labelled pairs with the cosines of both sides."""

    is_match: np.ndarray  # (P,) bool
    entity: np.ndarray  # (P,) the product of the left listing
    language: np.ndarray  # (P,) of the left listing; empty where it is not known
    student: np.ndarray  # (P,) float32
    teacher: np.ndarray  # (P,) float32

    def compare(self, name: str, metric: Metric, labels: str) -> Compared:
        """The metric of both sides."""
        return Compared(
            name=f"pairs_{name}",
            student=lambda rows: metric(self.student[rows], self.is_match[rows]),
            teacher=lambda rows: metric(self.teacher[rows], self.is_match[rows]),
            entity=self.entity,
            language=self.language,
            rows=f"pairs of {labels}, test",
            is_enough=lambda rows: min(self.is_match[rows].sum(), (~self.is_match[rows]).sum()) >= FEWEST,
        )


@dataclass(frozen=True, kw_only=True)
class PairTexts:
    """The distinct texts of pairs, and the place of each pair's two sides among them."""

    texts: list[str]
    left: np.ndarray  # (P,) int64
    right: np.ndarray  # (P,) int64

    @classmethod
    def of(cls, rows: Dataset) -> "PairTexts":
        texts: dict[str, int] = {}
        left, right = (
            np.asarray([texts.setdefault(text, len(texts)) for text in rows[f"{side}_text"][:]], np.int64)
            for side in ("left", "right")
        )
        return cls(texts=list(texts), left=left, right=right)


def judge_pairs(subject: Subject, labelled: OpenLabels, thresholds: Pairs) -> tuple[Verdict, ...]:
    """``pairs_METRIC_gap`` overall and per language, for average precision, ROC-AUC and recall at 10."""
    labels = labelled(subject.teachers.training_set.rendering)
    rows = chosen_pairs(labels)
    if not len(rows):
        return ()
    texts = PairTexts.of(rows)
    student_ND = subject.student_vectors(texts.texts)
    read = [texts_read(rows, chosen_pairs(labelled(one.rendering))) for one in subject.teachers.opened]
    teacher_ND = subject.teacher_vectors(read)
    pairs = ScoredPairs(
        is_match=np.asarray(rows["is_match"][:], bool),
        entity=np.asarray(rows["left_entity"][:]),
        language=languages_of(rows["left_locale"][:]),
        student=(student_ND[texts.left] * student_ND[texts.right]).sum(axis=1),
        teacher=(teacher_ND[texts.left] * teacher_ND[texts.right]).sum(axis=1),
    )
    return (
        *judge_scores(pairs, thresholds, labels.name),
        *_judge_recall(rows, student_ND, teacher_ND, thresholds, labels.name),
    )


def judge_scores(pairs: ScoredPairs, thresholds: Pairs, labels: str) -> tuple[Verdict, ...]:
    """Returns what is judged of the cosines of pairs alone."""
    precision = pairs.compare("average_precision", average_precision, labels)
    area = pairs.compare("roc_auc", roc_auc, labels)
    return (
        *judge_gap(precision, thresholds.limit("max_average_precision_gap"), thresholds, "max_language_gap"),
        *judge_gap(area, thresholds.limit("max_roc_auc_gap"), thresholds, "max_language_roc_auc_gap"),
    )


@dataclass(frozen=True, kw_only=True)
class Matches:
    """The matches (M,) whose right side is looked for by its left one, among all texts of the pairs."""

    query: np.ndarray  # (M,) int64: places among the texts
    partner: np.ndarray  # (M,) int64
    entity: np.ndarray  # (M,)
    language: np.ndarray  # (M,)
    kind: str  # "across locales", or "within locales"

    @classmethod
    def of(cls, rows: Dataset, texts: PairTexts) -> "Matches":
        """Returns those across locales, where there are enough of them, else all."""
        match = np.asarray(rows["is_match"][:], bool) & (texts.left != texts.right)
        across = match & (np.asarray(rows["left_locale"][:]) != np.asarray(rows["right_locale"][:]))
        is_across = bool(across.sum() >= FEWEST)
        chosen = np.flatnonzero(across if is_across else match)
        return cls(
            query=texts.left[chosen],
            partner=texts.right[chosen],
            entity=np.asarray(rows["left_entity"][:])[chosen],
            language=languages_of(rows["left_locale"][:])[chosen],
            kind="across locales" if is_across else "within locales",
        )

    def compare(self, name: str, reference: str, student: Search, other: Search, labels: str) -> Compared:
        """Recall at 10 of both, the text that asks left out."""
        ours, theirs = (
            recall_at(NEIGHBOURS, query_ND[self.query], found_ND, self.partner, left_out=self.query)
            for query_ND, found_ND in (student, other)
        )
        return Compared(
            name=f"{name}_recall_at_10",
            student=lambda drawn: float(ours[drawn].mean()),
            teacher=lambda drawn: float(theirs[drawn].mean()),
            reference=reference,
            entity=self.entity,
            language=self.language,
            rows=f"matches {self.kind} of {labels}, test, among {len(student[1]):,} texts",
            is_enough=lambda drawn: len(drawn) >= FEWEST,
        )


def chosen_pairs(labels: LabelSet) -> Dataset:
    """The first pairs of the split test in the order of their keys, which are hashes."""
    rows = labels.splits["test"]
    return rows.select(range(min(PAIRS, len(rows))))


def _judge_recall(
    rows: Dataset, student_ND: np.ndarray, teacher_ND: np.ndarray, thresholds: Pairs, labels: str
) -> tuple[Verdict, ...]:
    matches = Matches.of(rows, PairTexts.of(rows))
    if len(matches.query) < FEWEST:
        return ()
    compared = matches.compare("pairs", "teacher", (student_ND, student_ND), (teacher_ND, teacher_ND), labels)
    return judge_gap(compared, thresholds.limit("max_recall_gap"), thresholds, "max_language_recall_gap")


def texts_read(rows: Dataset, read: Dataset) -> list[str]:
    """The distinct texts of ``rows`` as they stand in ``read``, the same rows in another rendering."""
    theirs: dict[str, str] = {}
    for side in ("left", "right"):
        for ours, text in zip(rows[f"{side}_text"][:], read[f"{side}_text"][:], strict=True):
            theirs.setdefault(ours, text)
    order = PairTexts.of(rows).texts
    return [theirs[text] for text in order]
