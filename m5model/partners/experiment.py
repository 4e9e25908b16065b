"""One experiment: a partner's labels, a bundle and a strategy in; figures, comparisons, a calibrated model and mistakes out.

A model learns from the split learn, its threshold and its calibration come from validate, and every figure from test.
"""

import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import pyarrow as pa

from m5model.partners import findings
from m5model.partners.data import PartnerData
from m5model.partners.evaluation.calibration import Calibration, fit_calibration
from m5model.partners.evaluation.comparison import compare
from m5model.partners.evaluation.curves import Picture, draw_precision, draw_reliability
from m5model.partners.evaluation.figures import measure_all, measure_groups
from m5model.partners.evaluation.metric import find_metric, metrics_of
from m5model.partners.evaluation.metrics.binary import best_threshold
from m5model.partners.evaluation.mistakes import Mistake, worst_mistakes
from m5model.partners.evaluation.scored import Scored, pair_with_truth
from m5model.partners.finding import Findings
from m5model.partners.identity import code_version, experiment_id
from m5model.partners.registry import find_strategy
from m5model.partners.strategy import Fitted, Given
from m5model.partners.vectors import Vectors
from m5model.training.progress import say
from schemas.checks import require
from schemas.experiment import Comparison, ExperimentManifest
from schemas.labels import SPLITS
from schemas.registry import list_members, load_member

TWO_OUTCOMES = ("pairs", "clicks")


@dataclass(frozen=True, kw_only=True)
class Plan:
    """All that decides an experiment, opened. Raises ConfigurationError where the strategy does not serve the labels."""

    data: PartnerData
    vectors: Vectors | None
    strategy: str
    settings: Any = None  # of the strategy; its defaults if None
    bundle: str = ""  # id
    engine: str = ""
    seed: int = 0
    threads: int = 1
    device: str = "auto"
    source: str = ""  # see m5model.partners.strategy.Given
    scratch: Path | None = None  # checkpoints lie in a folder of the experiment's id below it
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        partner, module = self.data.partner, self.module
        needs = f"the strategy {self.strategy} reads vectors, and there is no bundle"
        serves = f"the strategy {self.strategy} serves labels of kind {', '.join(module.SERVES)}, {partner.name} has "
        require(
            "experiment",
            {
                f"{serves}{partner.labels.name}": partner.labels.name in module.SERVES,
                needs: self.vectors is not None or not module.USES_VECTORS,
            },
        )

    @property
    def module(self) -> ModuleType:
        return find_strategy(self.strategy)

    @property
    def chosen(self) -> Any:
        """The settings that hold."""
        return self.module.Settings() if self.settings is None else self.settings

    @property
    def id(self) -> str:
        """A hash of what decides the outcome: neither threads nor the device are in it."""
        return experiment_id(
            partner=self.data.partner,
            labels=self.data.source.content_hash,
            space_id=self.vectors.space_id if self.vectors is not None else "",
            bundle=self.bundle,
            strategy=self.strategy,
            settings=asdict(self.chosen),
            seed=self.seed,
            notes=self.notes,
        )

    def given(self) -> Given:
        return Given(
            data=self.data,
            vectors=self.vectors,
            seed=self.seed,
            threads=self.threads,
            device=self.device,
            source=self.source,
            scratch=None if self.scratch is None else self.scratch / self.id,
        )


@dataclass(frozen=True, kw_only=True)
class Judged:
    """A fitted model and what it says of the rows that are judged on."""

    name: str  # in words
    fitted: Fitted
    validate: Scored
    test: Scored
    calibration: Calibration | None = None
    calibrated: Scored | None = None  # of test, with probabilities as scores


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """Holds what an experiment found. ``manifest`` has no files yet: m5model.partners.records writes them."""

    manifest: ExperimentManifest
    data: PartnerData
    ours: Judged
    baseline: Judged
    pictures: tuple[Picture, ...] = ()
    mistakes: tuple[Mistake, ...] = ()
    tables: Mapping[str, pa.Table] = field(default_factory=dict)


def run_experiment(plan: Plan) -> Outcome:
    """Fit the strategy and the partner's baseline, and judge both on the split test."""
    started = time.monotonic()
    partner = plan.data.partner
    metric = find_metric(partner.metric)
    ours = _judge(
        plan,
        plan.module,
        plan.given(),
        plan.chosen,
        _name(plan.strategy, has_vectors=plan.module.TRAINS_ENCODER or plan.vectors is not None),
    )
    baseline = _judge_baseline(plan, ours)
    rows = plan.data.rows_of("test")
    comparisons = [compare(metric, ours.test, baseline.test, (ours.name, baseline.name))]
    comparisons += [compare(metric, part, baseline.test, (name, baseline.name)) for name, part in _parts(plan, ours)]
    comparisons += _beside_itself(plan, ours)
    found = _find(plan, ours)
    manifest = ExperimentManifest(
        id=plan.id,
        partner=partner.name,
        strategy=plan.strategy,
        settings=asdict(plan.chosen),
        seed=plan.seed,
        labels=asdict(plan.data.source),
        bundle=plan.bundle,
        space_id=plan.vectors.space_id if plan.vectors is not None else "",
        engine=plan.engine,
        code=code_version(),
        created_at=datetime.now(UTC).isoformat(timespec="milliseconds"),
        seconds=round(time.monotonic() - started, 1),
        rows_by_split={split: len(plan.data.rows_of(split)) for split in SPLITS},
        threshold=ours.test.threshold,
        figures=(*_figures(partner.metric, partner.labels.name, ours), *found.figures),
        comparisons=tuple(comparisons),
        groups=measure_groups(metric, ours.test, plan.data, rows),
        notes=plan.notes,
    )
    _report(manifest.comparisons[0])
    return Outcome(
        manifest=manifest,
        data=plan.data,
        ours=ours,
        baseline=baseline,
        pictures=(*_pictures(ours, baseline, partner.labels.name), *found.pictures),
        mistakes=worst_mistakes(ours.test, plan.data, rows),
        tables=found.tables,
    )


def _judge_baseline(plan: Plan, ours: Judged) -> Judged:
    """The partner's baseline without our vectors; it is fitted once, where it is the strategy that was asked for."""
    name = plan.data.partner.baseline
    module = find_strategy(name)
    settings = module.Settings()
    if plan.strategy == name and plan.vectors is None and plan.chosen == settings:
        return ours
    return _judge(plan, module, plan.given().without_vectors(), settings, _name(name, has_vectors=False))


def _beside_itself(plan: Plan, ours: Judged) -> list[Comparison]:
    """The same strategy without our vectors, where it can do without and is not the baseline anyway."""
    partner = plan.data.partner
    if plan.vectors is None or plan.strategy == partner.baseline or not getattr(plan.module, "DOES_WITHOUT", False):
        return []
    bare = _judge(plan, plan.module, plan.given().without_vectors(), plan.chosen, _name(plan.strategy, has_vectors=False))
    return [compare(find_metric(partner.metric), ours.test, bare.test, (ours.name, bare.name))]


def _find(plan: Plan, ours: Judged) -> Findings:
    """Returns what the label kind finds beside metrics, where it has a file for that."""
    kind = plan.data.partner.labels.name
    if kind not in list_members(findings):
        return Findings()
    found: Findings = load_member(findings, kind, "kind of findings").find(plan.data, plan.vectors, ours)
    return found


def _parts(plan: Plan, ours: Judged) -> Iterator[tuple[str, Scored]]:
    """Returns what parts of the model say by themselves, where the strategy has ``parts``."""
    rows = plan.data.rows_of("test")
    parts = getattr(ours.fitted, "parts", None)
    for name, scores in (parts(plan.data, plan.vectors, rows) if parts else {}).items():
        yield name, pair_with_truth(plan.data, rows, scores.values, classes=scores.classes, predictions=scores.predictions)


def _name(strategy: str, *, has_vectors: bool) -> str:
    return f"{strategy} with our vectors" if has_vectors else f"{strategy} without our vectors"


def _judge(plan: Plan, module: ModuleType, given: Given, settings: Any, name: str) -> Judged:
    """Fit, score validate and test, choose a threshold and a calibration where outcomes are two."""
    say(f"{plan.data.partner.name}: {name}, {len(given.learn()):,} rows to learn from")
    fitted = module.fit(given, settings)
    validate, test = (_scored(fitted, given, split) for split in SPLITS[1:])
    if plan.data.partner.labels.name not in TWO_OUTCOMES:
        return Judged(name=name, fitted=fitted, validate=validate, test=test)
    threshold = best_threshold(validate) if validate.targets.dtype == bool else None
    calibration = fit_calibration(validate)
    calibrated = None if calibration is None else replace(test, scores=calibration.apply(test.scores))
    return Judged(
        name=name,
        fitted=fitted,
        validate=replace(validate, threshold=threshold),
        test=replace(test, threshold=threshold),
        calibration=calibration,
        calibrated=calibrated,
    )


def _scored(fitted: Fitted, given: Given, split: str) -> Scored:
    rows = given.data.rows_of(split)
    found = fitted.scores(given.data, given.vectors, rows)
    return pair_with_truth(given.data, rows, found.values, classes=found.classes, predictions=found.predictions)


def _figures(primary: str, kind: str, ours: Judged) -> tuple[Any, ...]:
    """Ranks are judged on scores, probabilities after calibration."""
    measured_on = f"{len(ours.test):,} rows of the split test"
    of_probabilities = ("calibration_error", "log_loss")
    ranks = [metric for metric in metrics_of(kind) if metric.name not in of_probabilities]
    figures = measure_all(ranks, ours.test, measured_on, primary)
    if ours.calibrated is None:
        return figures
    rest = [metric for metric in metrics_of(kind) if metric.name in of_probabilities]
    return figures + measure_all(rest, ours.calibrated, measured_on, primary)


def _pictures(ours: Judged, baseline: Judged, kind: str) -> tuple[Picture, ...]:
    if kind not in TWO_OUTCOMES:
        return ()
    pictures = [draw_precision({ours.name: ours.test, baseline.name: baseline.test})]
    calibrated = {one.name: one.calibrated.scores for one in (ours, baseline) if one.calibrated is not None}
    return (*pictures, draw_reliability(calibrated, ours.test)) if calibrated else tuple(pictures)


def _report(lift: Comparison) -> None:
    say(
        f"{lift.metric}: {lift.our_value} against {lift.their_value} of {lift.theirs}, "
        f"difference {lift.difference} [{lift.low}, {lift.high}]: {lift.verdict}"
    )
