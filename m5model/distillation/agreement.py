"""Does a student judge pairs of texts as its teachers do, in every language? On held-out texts, no labels needed.

Tensor suffixes: B texts, D dimensions of the student, E of the teachers.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from m5model.data.token_rows import TokenRows
from m5model.distillation.student_graph import graph_vectors
from m5model.distillation.teachers import Teachers
from m5model.distillation.thresholds import Agreement
from m5model.distillation.vectors import encode_all
from m5model.distillation.verdicts import Verdict, judged
from m5model.encoders.encoder import TextEncoder
from m5model.gates.intervals import Interval, bootstrap

# All pairs of so many texts are compared at a time.
TEXTS = 512
# A language with fewer texts says too little to refuse a student.
FEWEST_TEXTS = 24


@dataclass(frozen=True, kw_only=True)
class Judged:
    """Held-out texts with the vectors of both sides."""

    text: list[str]
    language: np.ndarray  # (B,) str
    student_BD: np.ndarray
    teacher_BE: np.ndarray

    @classmethod
    def of(cls, folder: Path, held_out: TokenRows, teachers: Teachers, count: int) -> "Judged":
        """The int8 graph. ``held_out`` are the texts as the student's tokens."""
        return cls._of(lambda chosen: graph_vectors(folder, held_out.dataset[chosen]["ids"]), held_out, teachers, count)

    @classmethod
    def of_encoder(cls, encoder: TextEncoder, held_out: TokenRows, teachers: Teachers, count: int) -> "Judged":
        """The encoder in fp32."""
        return cls._of(lambda chosen: encode_all(encoder, held_out, np.asarray(chosen)), held_out, teachers, count)

    @classmethod
    def _of(cls, encode: Callable[[list[int]], np.ndarray], held_out: TokenRows, teachers: Teachers, count: int) -> "Judged":
        taught = teachers.taught("held_out", held_out, count)
        chosen = [int(row) for row in taught.chosen]
        rows = teachers.training_set.held_out.select(chosen)
        return cls(
            text=rows["text"][:],
            language=np.asarray(rows["language"][:]),
            student_BD=encode(chosen),
            teacher_BE=taught.targets(np.arange(len(chosen))),
        )

    def similarities(self, count: int) -> tuple[tuple[float, float], ...]:
        """The teachers' and the student's similarity of at most ``count`` pairs of texts, drawn the same every time."""
        first, second = np.triu_indices(min(TEXTS, len(self.text)), k=1)
        drawn = np.sort(np.random.default_rng(0).permutation(len(first))[:count])
        sides = (vectors[first[drawn]] * vectors[second[drawn]] for vectors in (self.teacher_BE, self.student_BD))
        theirs, ours = (side.sum(axis=1).tolist() for side in sides)
        return tuple(zip(theirs, ours, strict=True))

    def correlation(self, rows: np.ndarray) -> Interval:
        """Pearson, over pairs of these texts, of the similarities of both sides."""
        ours, theirs = (vectors[rows] @ vectors[rows].T for vectors in (self.student_BD, self.teacher_BE))

        def measure(drawn: np.ndarray) -> float:
            upper = np.triu_indices(len(drawn), k=1)
            first, second = drawn[upper[0]], drawn[upper[1]]
            different = first != second  # a text drawn twice is no pair
            pairs = first[different], second[different]
            return float(np.corrcoef(ours[pairs], theirs[pairs])[0, 1])

        return bootstrap(measure, np.arange(len(rows)), resamples=50)

    def worst_texts(self, count: int) -> tuple[str, ...]:
        """The texts whose similarities to the others agree least."""
        rows = np.arange(min(TEXTS, len(self.text)))
        ours, theirs = (_standardised(vectors[rows] @ vectors[rows].T) for vectors in (self.student_BD, self.teacher_BE))
        agreement = (ours * theirs).mean(axis=1)
        return tuple(f"{self.language[row]}: {self.text[row]}" for row in np.argsort(agreement)[:count])


def judge_agreement(texts: Judged, thresholds: Agreement) -> tuple[Verdict, ...]:
    """``agreement`` over all texts, and ``agreement_LANGUAGE`` of every language with enough of them."""
    overall = texts.correlation(np.arange(min(TEXTS, len(texts.text))))
    verdicts = [
        judged(
            "agreement",
            overall,
            "at least",
            thresholds.min_correlation,
            f"{min(TEXTS, len(texts.text)):,} held-out texts",
            thresholds.limit("min_correlation").setting,
        )
    ]
    rows_of = {language: np.flatnonzero(texts.language == language)[:TEXTS] for language in sorted(set(texts.language))}
    found = {language: texts.correlation(rows) for language, rows in rows_of.items() if len(rows) >= FEWEST_TEXTS}
    lacks = float(np.mean([1 - each.value for each in found.values()])) if found else 0.0
    for language, each in found.items():
        own = thresholds.limit_of(language, "min_correlation")
        name, where = f"agreement_{language}", f"{len(rows_of[language]):,} held-out texts"
        if language in thresholds.languages:
            verdicts.append(judged(name, each, "at least", own.threshold, where, own.setting))
            continue
        # Where all languages lack much, or there is one alone, twice as much is no limit: none at all may be turned round.
        limit = max(thresholds.language_slack, min(1.0, thresholds.max_language_ratio * lacks))
        figure = judged(name, each, "at least", 1 - limit, where, "").figure
        if each.value < 0:
            verdicts.append(Verdict(figure=figure, setting="agreement.language_slack", passing=1 - each.value))
        else:
            ratio = (1 - each.value) / max(lacks, 1e-9)
            verdicts.append(Verdict(figure=figure, setting="agreement.max_language_ratio", passing=ratio))
    return tuple(verdicts)


def _standardised(similarities_BB: np.ndarray) -> np.ndarray:
    centred = similarities_BB - similarities_BB.mean(axis=1, keepdims=True)
    scaled: np.ndarray = centred / np.maximum(centred.std(axis=1, keepdims=True), 1e-9)
    return scaled
