"""Holds the facts of a distillation's page as plain values, and sorts its figures by language."""

from collections.abc import Sequence
from dataclasses import dataclass

from m5model.distillation.ablation import WHOLE, Ablated
from m5model.distillation.candidates import Trial
from m5model.distillation.notes import Notes
from schemas.bundle import BundleManifest
from schemas.figure import Figure
from schemas.locales import LANGUAGES

# Figures of languages that say how a student does, by the beginning of their names, and what they are called for people.
BY_LANGUAGE = {
    "agreement": "Agreement of similarities with the teachers",
    "pairs_average_precision_gap": "Average precision on labelled pairs: what is lost",
    "pairs_roc_auc_gap": "ROC-AUC on labelled pairs: what is lost",
    "pairs_recall_at_10_gap": "Recall at 10 of the matching listing: what is lost",
    "attributes_f1_gap": "F1 of attributes by near texts: what is lost",
    "same_space_cosine": "Cosine of query and document vectors of a text",
    "same_space_neighbours_lost": "Near documents that queries do not find",
    "same_space_recall_at_10_gap": "Recall at 10 with queries by this student: what is lost",
}


@dataclass(frozen=True, kw_only=True)
class Step:
    """Holds what one step of the run cost."""

    name: str
    seconds: float
    steps: int | None  # of the optimiser; None where it trains nothing


@dataclass(frozen=True, kw_only=True)
class LanguageFigures:
    """One measure of all texts and of each language."""

    title: str
    overall: Figure | None
    languages: Sequence[tuple[str, Figure]]


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
        """The measures that were made of any language."""
        found = [_of_languages(self.figures, name, title) for name, title in BY_LANGUAGE.items()]
        return [one for one in found if one.languages]

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


def _of_languages(figures: Sequence[Figure], name: str, title: str) -> LanguageFigures:
    by_name = {figure.name: figure for figure in figures}
    languages = [(code, by_name[f"{name}_{code}"]) for code in LANGUAGES if f"{name}_{code}" in by_name]
    return LanguageFigures(title=title, overall=by_name.get(name), languages=languages)


def _earned(whole: Ablated, without: Ablated) -> Earned:
    both = whole.average_precision, without.average_precision
    return Earned(
        part=without.without,
        agreement=whole.agreement.value - without.agreement.value,
        average_precision=both[0].value - both[1].value if both[0] and both[1] else None,
    )
