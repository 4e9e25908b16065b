"""The examination of a finished student: its int8 vectors beside its teachers', overall and per language, and what it costs.

It reads only texts that nothing was learned or calibrated from: held-out rows, and the split test of label sets.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from m5model.distillation.agreement import Judged, judge_agreement
from m5model.distillation.cost import judge_cost
from m5model.distillation.independence import judge_independence
from m5model.distillation.labelled_attributes import judge_attributes
from m5model.distillation.labelled_pairs import OpenLabels, judge_pairs
from m5model.distillation.same_space import Documents, judge_same_space
from m5model.distillation.subject import Subject
from m5model.distillation.thresholds import StudentGate
from m5model.distillation.verdicts import Verdict, nearest_gate
from schemas.errors import GateRefusedError
from schemas.figure import Figure

# Held-out texts that student and teachers are compared on: some 200 of each of ten languages.
COMPARED_TEXTS = 2_048
SHOWN_TEXTS = 5
SHOWN_PAIRS = 1_500
SHOWN_CHARACTERS = 160


@dataclass(frozen=True, kw_only=True)
class Labels:
    """The label sets that a student is examined on, split test; None where none is named."""

    pairs: OpenLabels | None = None
    attributes: OpenLabels | None = None


@dataclass(frozen=True, kw_only=True)
class Examination:
    """All verdicts, and the texts on which the student is farthest from its teachers."""

    verdicts: tuple[Verdict, ...]
    worst: tuple[str, ...]
    similarities: tuple[tuple[float, float], ...] = ()  # of pairs of held-out texts: teachers', student's

    @property
    def figures(self) -> tuple[Figure, ...]:
        return tuple(verdict.figure for verdict in self.verdicts)


def examine(subject: Subject, gate: StudentGate, labels: Labels, documents: Documents | None = None) -> Examination:
    """Measure the int8 graph of a student's checkpoint folder; with ``documents``, as one for queries in their space."""
    texts = Judged.of(subject.folder, subject.held_out, subject.teachers, COMPARED_TEXTS)
    verdicts = judge_agreement(texts, gate.agreement)
    if labels.pairs is not None:
        verdicts += judge_pairs(subject, labels.pairs, gate.pairs)
    if labels.attributes is not None:
        verdicts += judge_attributes(subject, labels.attributes, gate.attributes)
    if documents is not None:
        verdicts += judge_same_space(subject, documents, gate.same_space, labels.pairs)
    verdicts += (judge_independence(subject.folder, subject.held_out, gate.batches),)
    verdicts += judge_cost(subject, gate.cost)
    return Examination(verdicts=verdicts, worst=texts.worst_texts(SHOWN_TEXTS), similarities=texts.similarities(SHOWN_PAIRS))


def refuse_unless_passed(examination: Examination, teachers: Sequence[str]) -> None:
    """Raise GateRefusedError with a table of what fell short, the worst texts, and a gate file that would let it pass."""
    failed = [verdict for verdict in examination.verdicts if not verdict.figure.holds]
    if not failed:
        return
    table = "\n".join(f"  {one.figure.name:<32}{one.figure.describe()}, {one.figure.measured_on}" for one in failed)
    texts = "\n".join(f"  {text[:SHOWN_CHARACTERS]}" for text in examination.worst)
    raise GateRefusedError(
        f"the student falls short of {', '.join(teachers)} in {len(failed)} of {len(examination.verdicts)} figures:\n{table}\n"
        f"the texts on which they differ most:\n{texts}",
        next_step="give more steps, more layers, or more texts of the languages that fell short. Nothing was released. "
        f"The nearest gate file that it passes:\n{nearest_gate(failed)}",
    )
