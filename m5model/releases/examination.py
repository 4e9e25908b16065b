"""The examination of a release: a bundle beside the champion on every held-out label set that a partner learns from.

The evidence is kept under a hash of all that decides it, so that an examination that was made is not made again, and a refusal
can be read later.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from m5model.bundles.released import read_evidence
from m5model.data.set_versions import list_label_sets
from m5model.files import storage
from m5model.gates.evidence import judge, state
from m5model.gates.intervals import shown_above_zero
from m5model.partners.data import PartnerData
from m5model.partners.identity import code_version
from m5model.partners.reading import DataRequest, open_data
from m5model.partners.registry import find_partner, list_partners
from m5model.partners.vectors import Vectors, open_vectors
from m5model.releases.comparing import Consumer, Gap, ask_consumer, compare_scores, has_probe, probe_bundle, state_scores
from m5model.releases.gate import ReleaseGate
from m5model.training.progress import say
from schemas.canonical import identify
from schemas.errors import ConfigurationError
from schemas.figure import Figure
from schemas.labels import LabelSetManifest
from schemas.manifests import to_json
from schemas.partner import Partner
from schemas.release import ReleaseEvidence, SpaceBundle
from schemas.workspace import Workspace

# Rows of a split that are looked at, of entities in the order of their hash: more make intervals little narrower.
ROWS = 6_000


@dataclass(frozen=True, kw_only=True)
class Examined:
    """The label sets that a release is judged on, each with the partner whose labels they are."""

    sets: tuple[tuple[Partner, LabelSetManifest], ...]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(f"{manifest.name}/{manifest.version}" for _, manifest in self.sets)


def find_labels(workspace: Workspace, names: Sequence[str] = ()) -> Examined:
    """The newest version of every label set whose kind a partner learns from, or of those that are named.

    Raises ConfigurationError for a name that there is not. A set without a split test says nothing, and is left out.
    """
    newest = {manifest.name: manifest for manifest in list_label_sets(workspace)}
    absent = [name for name in names if name not in newest]
    if absent:
        raise ConfigurationError(
            f"there is no label set {', '.join(absent)} in {workspace.label_sets}",
            next_step=f"give one of: {', '.join(newest) or 'none is there'}",
        )
    partners = {partner.labels.name: partner for partner in map(find_partner, reversed(list_partners()))}
    chosen = [newest[name] for name in sorted(names or newest)]
    sets = [
        (partners[one.kind], one)
        for one in chosen
        if one.kind in partners and has_probe(one.kind) and one.rows_by_split.get("test", 0)
    ]
    return Examined(sets=tuple(sets))


def examine(
    workspace: Workspace,
    bundle: SpaceBundle,
    champion: SpaceBundle | None,
    examined: Examined,
    gate: ReleaseGate,
    threads: int = 1,
) -> ReleaseEvidence:
    """Measure, or find what was measured before."""
    evidence_id = _identify(bundle, champion, examined, gate)
    path = workspace.release_evidence(evidence_id)
    if storage.exists(path):
        say(f"the evidence {evidence_id} was made before")
        return read_evidence(workspace, evidence_id)
    vectors, _ = open_vectors(workspace, bundle.bundle, threads=threads)
    theirs = None if champion is None else open_vectors(workspace, champion.bundle, threads=threads)[0]
    evidence = ReleaseEvidence(
        id=evidence_id,
        bundle=bundle.bundle,
        champion=None if champion is None else champion.bundle,
        labels=examined.names,
        figures=tuple(_measure(workspace, examined, vectors, theirs, gate)),
        at=datetime.now(UTC).isoformat(timespec="milliseconds"),
    )
    storage.write_bytes(path, to_json(evidence).encode())
    return evidence


def judge_gaps(gaps: Sequence[Gap], gate: ReleaseGate) -> list[Figure]:
    """Each gap with its interval. Those that are shown, all taken together, must be within the gate."""
    figures = []
    for gap, is_shown in zip(gaps, shown_above_zero([one.gap for one in gaps]), strict=True):
        limit = gate.limit(gap.labels, language=bool(gap.language))
        figure = (
            judge(gap.name, gap.gap.value, "at most", limit, gap.rows) if is_shown else state(gap.name, gap.gap.value, gap.rows)
        )
        figures.append(replace(figure, low=_number(gap.gap.low), high=_number(gap.gap.high)))
    return figures


def _measure(
    workspace: Workspace, examined: Examined, vectors: Vectors, champion: Vectors | None, gate: ReleaseGate
) -> list[Figure]:
    gaps: list[Gap] = []
    stated: list[Figure] = []
    for partner, manifest in examined.sets:
        name = f"{manifest.name}/{manifest.version}"
        say(f"{partner.name}: {name}")
        data = some_entities(open_data(workspace, DataRequest(partner=partner, labels=name, allow_seen=True)), ROWS)
        where = f"{len(data.rows_of('test')):,} rows of {name}, test"
        ours = probe_bundle(data, vectors)
        if champion is None:
            found = state_scores(data, ours)
            stated += [state(f"{manifest.name}_{metric}", value, where) for metric, value in found.items()]
            continue
        compared = compare_scores(data, probe_bundle(data, champion), ours)
        gaps += compared
        for gap in compared:
            if not gap.language:
                stated.append(state(f"{gap.labels}_{gap.metric}_champion", gap.champion, where))
                stated.append(state(f"{gap.labels}_{gap.metric}", gap.bundle, where))
        if champion.space_id != vectors.space_id:
            stated += _of_consumer(ask_consumer(data, ours, champion, vectors))
    return [*judge_gaps(gaps, gate), *stated]


def _of_consumer(found: Consumer) -> list[Figure]:
    """``…_old_consumer``: no number where it cannot read the new vectors at all."""
    name = f"{found.labels}_{found.metric}"
    return [
        state(f"{name}_learned_anew", found.learned_anew, found.rows),
        state(f"{name}_old_consumer", found.carried, found.rows),
    ]


def some_entities(data: PartnerData, rows: int) -> PartnerData:
    """At most about ``rows`` rows of every split: all rows of the first entities in the order of a hash."""
    entity = data.entity.astype(str)
    names, number = np.unique(entity, return_inverse=True)
    order = np.argsort([identify({"entity": str(name)}) for name in names], kind="stable")
    rank = np.empty(len(names), np.int64)
    rank[order] = np.arange(len(names))
    kept = []
    for split in ("learn", "validate", "test"):
        found = data.rows_of(split)
        ordered = found[np.argsort(rank[number[found]], kind="stable")]
        last = rank[number[ordered[min(rows, len(ordered)) - 1]]] if len(ordered) else -1
        kept.append(found[rank[number[found]] <= last])
    return data.select(np.sort(np.concatenate(kept)))


def _identify(bundle: SpaceBundle, champion: SpaceBundle | None, examined: Examined, gate: ReleaseGate) -> str:
    return identify(
        {
            "bundle": [bundle.bundle, bundle.space_id],
            "champion": None if champion is None else [champion.bundle, champion.space_id],
            "labels": [[manifest.name, manifest.version, manifest.content_hash] for _, manifest in examined.sets],
            "gate": [gate.max_gap, gate.max_language_gap, {name: dict(values) for name, values in gate.labels.items()}],
            "rows": ROWS,
            "code": [code_version(), code_version(Path(__file__).parent)],
        }
    )


def _number(value: float) -> float | None:
    return round(float(value), 6) if np.isfinite(value) else None
