"""Holds the facts of a distillation's page as plain values."""

from collections.abc import Sequence
from dataclasses import dataclass

from m5model.distillation.ablation import WHOLE, Ablated
from m5model.distillation.candidates import Trial
from m5model.distillation.notes import Notes
from m5model.reports.languages import LanguageFigures, figures_by_language
from schemas.bundle import BundleManifest
from schemas.figure import Figure


@dataclass(frozen=True, kw_only=True)
class Step:
    """Holds what one step of the run cost."""

    name: str
    seconds: float
    steps: int | None  # of the optimiser; None where it trains nothing


@dataclass(frozen=True, kw_only=True)
class Earned:
    """Holds what a part earns: the whole recipe's figure minus that without the part, and where the other's interval lies."""

    part: str
    agreement: float
    average_precision: float | None


@dataclass(frozen=True, kw_only=True)
class DistillationFacts:
    """One run of ``m5 distill``."""

    manifest: BundleManifest | None  # None where the gate refused the student
    name: str  # the bundle's id, or the run's
    figures: Sequence[Figure]
    steps: Sequence[Step]
    trials: Sequence[Trial]  # the chosen one first
    similarities: Sequence[tuple[float, float]]
    ablations: Sequence[Ablated]
    ablation_steps: int

    @property
    def fell_short(self) -> Sequence[Figure]:
        return [figure for figure in self.figures if not figure.holds]

    def figure(self, name: str) -> Figure | None:
        return next((figure for figure in self.figures if figure.name == name), None)

    @property
    def by_language(self) -> Sequence[LanguageFigures]:
        return figures_by_language(self.figures)

    @property
    def earned(self) -> Sequence[Earned]:
        whole = next((one for one in self.ablations if one.without == WHOLE), None)
        return [] if whole is None else [_earned(whole, one) for one in self.ablations if one is not whole]


def facts_of(notes: Notes, manifest: BundleManifest | None) -> DistillationFacts:
    """The facts of a run that ended with this bundle, or with a refusal."""
    return DistillationFacts(
        manifest=manifest,
        name=manifest.id if manifest else f"student of run {notes.run}",
        figures=notes.figures,
        steps=[Step(name=name, seconds=seconds, steps=notes.steps.get(name)) for name, seconds in notes.clock.seconds.items()],
        trials=notes.trials,
        similarities=notes.similarities,
        ablations=notes.ablations,
        ablation_steps=notes.ablation_steps,
    )


def frontier(trials: Sequence[Trial]) -> list[Trial]:
    """The trials that no other one beats in agreement at as few milliseconds, the quickest first."""
    best: list[Trial] = []
    for trial in sorted(trials, key=lambda one: (one.ms_at_32_tokens, -one.agreement)):
        if not best or trial.agreement > best[-1].agreement:
            best.append(trial)
    return best


def _earned(whole: Ablated, without: Ablated) -> Earned:
    both = whole.average_precision, without.average_precision
    return Earned(
        part=without.without,
        agreement=whole.agreement.value - without.agreement.value,
        average_precision=both[0].value - both[1].value if both[0] and both[1] else None,
    )
