"""A student and its teachers on labelled pairs of the split test: matches found, overall and per language.

Gaps are the teachers' figure minus the student's, on the same rows, with an interval over products. Tensor suffixes: P pairs,
N texts, D dimensions.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from datasets import Dataset
from tokenizers import Tokenizer

from m5model.data.label_sets import LabelSet
from m5model.data.token_rows import tokenize_rows
from m5model.distillation.student_graph import graph_vectors
from m5model.distillation.teachers import Teacher, Teachers, join_teachers
from m5model.distillation.thresholds import Pairs
from m5model.distillation.vectors import encode_all
from m5model.distillation.verdicts import Verdict, judged
from m5model.gates.intervals import bootstrap
from m5model.gates.metrics import average_precision, recall_at, roc_auc
from m5model.runtime.rendering import Rendering
from schemas.locales import LOCALES

NEIGHBOURS = 10
# Pairs compared at most: teachers are slow, and more make intervals little narrower.
PAIRS = 2_000
# A language with fewer matches, or fewer other pairs, says too little.
FEWEST = 20
LANGUAGE_OF = {locale.code: locale.languages[0] for locale in LOCALES.values()}

OpenLabels = Callable[[Rendering], LabelSet]  # the label set with its texts in that rendering
Metric = Callable[[np.ndarray, np.ndarray], float]


@dataclass(frozen=True, kw_only=True)
class ScoredPairs:
    """Labelled pairs with the cosines of both sides."""

    is_match: np.ndarray  # (P,) bool
    entity: np.ndarray  # (P,) the product of the left listing
    language: np.ndarray  # (P,) of the left listing; empty where it is not known
    student: np.ndarray  # (P,) float32
    teacher: np.ndarray  # (P,) float32


def judge_pairs(
    folder: Path, tokenizer: Tokenizer, teachers: Teachers, labelled: OpenLabels, thresholds: Pairs, max_tokens: int
) -> tuple[Verdict, ...]:
    """``pairs_METRIC_gap`` overall, and of the average precision per language; the figures of both sides are stated."""
    labels = labelled(teachers.training_set.rendering)
    rows = _chosen(labels)
    if not len(rows):
        return ()
    texts, left, right = _texts(rows)
    student_ND = graph_vectors(folder, _ids(texts, tokenizer, max_tokens))
    teacher_ND = join_teachers([_teacher_vectors(rows, _chosen(labelled(one.rendering)), one) for one in teachers.opened])
    pairs = ScoredPairs(
        is_match=np.asarray(rows["is_match"][:], bool),
        entity=np.asarray(rows["left_entity"][:]),
        language=np.asarray([LANGUAGE_OF.get(locale or "", "") for locale in rows["left_locale"][:]]),
        student=(student_ND[left] * student_ND[right]).sum(axis=1),
        teacher=(teacher_ND[left] * teacher_ND[right]).sum(axis=1),
    )
    where = f"{len(rows):,} pairs of {labels.name}, test"
    verdicts = _judge_metric("average_precision", average_precision, pairs, thresholds.max_average_precision_gap, where)
    verdicts += _judge_metric("roc_auc", roc_auc, pairs, thresholds.max_roc_auc_gap, where)
    verdicts += _judge_recall(rows, left, right, student_ND, teacher_ND, thresholds, labels.name)
    return verdicts + _judge_languages(pairs, thresholds, labels.name)


def _judge_metric(name: str, metric: Metric, pairs: ScoredPairs, threshold: float, where: str) -> tuple[Verdict, ...]:
    gap = bootstrap(lambda rows: _gap(metric, pairs, rows), pairs.entity)
    return (
        judged(f"pairs_{name}_teacher", metric(pairs.teacher, pairs.is_match), "none", None, where, ""),
        judged(f"pairs_{name}", metric(pairs.student, pairs.is_match), "none", None, where, ""),
        judged(f"pairs_{name}_gap", gap, "at most", threshold, where, f"pairs.max_{name}_gap"),
    )


def _judge_languages(pairs: ScoredPairs, thresholds: Pairs, name: str) -> tuple[Verdict, ...]:
    """A gap refuses a student where it is too wide and the interval shows that there is one."""
    verdicts = []
    for language in sorted(set(pairs.language) - {""}):
        rows = np.flatnonzero(pairs.language == language)
        matches = int(pairs.is_match[rows].sum())
        if min(matches, len(rows) - matches) < FEWEST:
            continue
        gap = bootstrap(partial(_gap_of_drawn, pairs, rows), pairs.entity[rows])
        threshold = thresholds.max_language_gap if gap.low > 0 else None
        where = f"{len(rows):,} pairs of {name}, test"
        named = f"pairs_average_precision_gap_{language}"
        verdicts.append(judged(named, gap, "at most", threshold, where, "pairs.max_language_gap"))
    return tuple(verdicts)


def _judge_recall(
    rows: Dataset,
    left: np.ndarray,
    right: np.ndarray,
    student_ND: np.ndarray,
    teacher_ND: np.ndarray,
    thresholds: Pairs,
    name: str,
) -> tuple[Verdict, ...]:
    """Of the matches across locales, where there are enough of them, else of all."""
    match = np.asarray(rows["is_match"][:], bool) & (left != right)
    across = match & (np.asarray(rows["left_locale"][:]) != np.asarray(rows["right_locale"][:]))
    chosen = np.flatnonzero(across if across.sum() >= FEWEST else match)
    if len(chosen) < FEWEST:
        return ()
    hits = [_recall(vectors_ND, left[chosen], right[chosen]) for vectors_ND in (student_ND, teacher_ND)]
    entity = np.asarray(rows["left_entity"][:])[chosen]
    gap = bootstrap(lambda drawn: float((hits[1] - hits[0])[drawn].mean()), entity)
    kind = "across locales" if across.sum() >= FEWEST else "within locales"
    where = f"{len(chosen):,} matches {kind} of {name}, test, among {len(student_ND):,} texts"
    return (
        judged("pairs_recall_at_10_teacher", float(hits[1].mean()), "none", None, where, ""),
        judged("pairs_recall_at_10", float(hits[0].mean()), "none", None, where, ""),
        judged("pairs_recall_at_10_gap", gap, "at most", thresholds.max_recall_gap, where, "pairs.max_recall_gap"),
    )


def _recall(vectors_ND: np.ndarray, query: np.ndarray, partner: np.ndarray) -> np.ndarray:
    """Is the partner among the nearest, the query itself left out?"""
    return recall_at(NEIGHBOURS + 1, vectors_ND[query], vectors_ND, partner)


def _gap(metric: Metric, pairs: ScoredPairs, rows: np.ndarray) -> float:
    return metric(pairs.teacher[rows], pairs.is_match[rows]) - metric(pairs.student[rows], pairs.is_match[rows])


def _gap_of_drawn(pairs: ScoredPairs, rows: np.ndarray, drawn: np.ndarray) -> float:
    return _gap(average_precision, pairs, rows[drawn])


def _texts(rows: Dataset) -> tuple[list[str], np.ndarray, np.ndarray]:
    """The distinct texts, and the place of each pair's left and right one."""
    texts: dict[str, int] = {}
    left, right = (
        np.asarray([texts.setdefault(text, len(texts)) for text in rows[f"{side}_text"][:]], np.int64)
        for side in ("left", "right")
    )
    return list(texts), left, right


def _chosen(labels: LabelSet) -> Dataset:
    """The first pairs of the split test in the order of their keys, which are hashes."""
    rows = labels.splits["test"]
    return rows.select(range(min(PAIRS, len(rows))))


def _ids(texts: list[str], tokenizer: Tokenizer, max_tokens: int) -> list[list[int]]:
    tokenizer.no_padding()
    tokenizer.enable_truncation(max_tokens)
    return [encoding.ids for encoding in tokenizer.encode_batch_fast(texts)]


def _teacher_vectors(rows: Dataset, read: Dataset, teacher: Teacher) -> np.ndarray:
    """Vectors of the distinct texts of ``rows``, which the teacher reads in the rendering of ``read``."""
    theirs: dict[str, str] = {}
    for side in ("left", "right"):
        for ours, text in zip(rows[f"{side}_text"][:], read[f"{side}_text"][:], strict=True):
            theirs.setdefault(ours, text)
    texts = Dataset.from_dict({"text": list(theirs.values()), "key": np.arange(len(theirs), dtype=np.int64)})
    tokens = tokenize_rows(texts, teacher.tokenizer, teacher.manifest.max_tokens)
    return encode_all(teacher.encoder, tokens, np.arange(len(theirs)))
