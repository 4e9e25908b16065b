"""One label set, two bundles: every metric of the probe, paired on the same rows, overall and per language."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from m5model.distillation.gaps import LANGUAGE_OF
from m5model.gates.intervals import Interval, bootstrap
from m5model.partners.data import PartnerData
from m5model.partners.evaluation.metric import Metric, find_metric
from m5model.partners.evaluation.scored import Scored
from m5model.partners.vectors import Vectors
from m5model.releases import probes
from m5model.releases.reading import Reading
from schemas.partner import LANGUAGE
from schemas.registry import list_members, load_member

# A language with fewer entities says too little.
FEWEST = 20


@dataclass(frozen=True, kw_only=True)
class Gap:
    """Holds what the champion has more than the bundle in one metric, on rows of one language or of all."""

    labels: str  # the label set's name
    metric: str
    language: str = ""  # empty: all rows
    champion: float
    bundle: float
    gap: Interval
    rows: str  # what was measured on

    @property
    def name(self) -> str:
        return f"{self.labels}_{self.metric}_gap" + (f"_{self.language}" if self.language else "")


@dataclass(frozen=True, kw_only=True)
class Consumer:
    """Says how what was learned from the champion's vectors fares on the bundle's."""

    labels: str
    metric: str
    learned_anew: float  # of the bundle's vectors alone
    carried: float | None  # None where the spaces have other dimensions: nothing learned from one can read the other
    rows: str


def has_probe(kind: str) -> bool:
    return kind in list_members(probes)


def probe_bundle(data: PartnerData, vectors: Vectors) -> Scored:
    """What the vectors say of the split test."""
    scored: Scored = _probe(data).probe(data, Reading.of(vectors))
    return scored


def compare_scores(data: PartnerData, theirs: Scored, ours: Scored) -> list[Gap]:
    """The champion's scores beside the bundle's, overall first. A metric that says nothing of these rows has no gap."""
    languages = languages_of(data.select(data.rows_of("test")))
    found = []
    for metric in map(find_metric, _probe(data).METRICS):
        for language in ("", *sorted(set(languages) - {""})):
            rows = np.flatnonzero(languages == language) if language else np.arange(len(languages))
            gap = _measure(data, metric, theirs.select(rows), ours.select(rows), language)
            if gap is not None:
                found.append(gap)
    return found


def state_scores(data: PartnerData, ours: Scored) -> dict[str, float]:
    """The figures of a bundle that is compared with none, by metric; those that are numbers."""
    values = {metric.name: metric.measure(ours) for metric in map(find_metric, _probe(data).METRICS)}
    return {name: value for name, value in values.items() if np.isfinite(value)}


def ask_consumer(data: PartnerData, ours: Scored, champion: Vectors, bundle: Vectors) -> Consumer:
    """A consumer of the champion's space, on the bundle's vectors; ``ours`` is what the bundle's vectors say by themselves."""
    probe = _probe(data)
    metric = find_metric(probe.CONSUMED)
    anew = metric.measure(ours)
    carried = None
    if champion.dimensions == bundle.dimensions:
        carried = metric.measure(probe.probe(data, Reading(learned=champion, read=bundle)))
    where = f"{len(data.rows_of('test')):,} rows of {data.source.name}/{data.source.version}, test"
    return Consumer(labels=data.source.name, metric=metric.name, learned_anew=anew, carried=carried, rows=where)


def languages_of(chosen: PartnerData) -> np.ndarray:
    """The language of each row (n,): as it is stated, else the first one of the locale; empty where there is neither."""
    side = "left_" if "left_" in chosen.partner.labels.sides else ""
    locales = chosen.table.column(f"{side}locale").to_pylist()
    stated = chosen.table.column(LANGUAGE).to_pylist()
    if "query_language" in chosen.table.column_names:
        stated = [own or other for own, other in zip(chosen.table.column("query_language").to_pylist(), stated, strict=True)]
    return np.asarray([own or LANGUAGE_OF.get(locale or "", "") for own, locale in zip(stated, locales, strict=True)])


def _probe(data: PartnerData):  # type: ignore[no-untyped-def]  # a module: see m5model/releases/probes
    return load_member(probes, data.partner.labels.name, "probe")


def _measure(data: PartnerData, metric: Metric, theirs: Scored, ours: Scored, language: str) -> Gap | None:
    entities = len(set(ours.entity))
    if language and entities < FEWEST:
        return None
    found = bootstrap(_gap(metric, theirs, ours), ours.entity)
    if not np.isfinite(found.value):
        return None
    where = f"{len(ours):,} rows of {data.source.name}/{data.source.version}, test" + (f", {language}" if language else "")
    return Gap(
        labels=data.source.name,
        metric=metric.name,
        language=language,
        champion=metric.measure(theirs),
        bundle=metric.measure(ours),
        gap=found,
        rows=where,
    )


def _gap(metric: Metric, theirs: Scored, ours: Scored) -> Callable[[np.ndarray], float]:
    return lambda rows: metric.measure(theirs.select(rows)) - metric.measure(ours.select(rows))
