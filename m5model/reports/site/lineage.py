"""Says where a bundle came from and what was made with it, as steps that the pages link."""

from collections.abc import Sequence
from dataclasses import dataclass

from m5model.reports.site.facts import SiteFacts
from schemas.bundle import BundleManifest


@dataclass(frozen=True, kw_only=True)
class Step:
    """One thing that others come from or go to. ``page`` is where the site shows it; empty where it does not."""

    what: str
    name: str
    page: str = ""


def trace_back(facts: SiteFacts, bundle: BundleManifest) -> Sequence[Step]:
    """Returns what the bundle was made from, the first step first: listings, sets, starting weights, teachers."""
    known = {one.id: one for one in facts.bundles}
    line = [bundle]
    while (parent := known.get(line[-1].parent or "")) and parent not in line:
        line.append(parent)
    steps: list[Step] = []
    for one in reversed(line):
        steps += [step for step in _inputs(facts, one) if step not in steps]
        steps.append(Step(what=one.kind, name=one.id, page="models"))
    return steps


def trace_forward(facts: SiteFacts, bundle: BundleManifest) -> Sequence[Step]:
    """Returns what was made with the bundle: students, vectors, views, experiments."""
    students = [Step(what="student", name=one.id, page="models") for one in facts.bundles if one.parent == bundle.id]
    vectors = [
        Step(what="vectors", name=f"{one.rows:,} of space {one.space_id}", page="tables")
        for one in facts.spaces
        if one.space_id == bundle.space_id
    ]
    views = [Step(what="view", name=one.name, page="features") for one in facts.views if one.space_id == bundle.space_id]
    experiments = [
        Step(what="experiment", name=f"{one.partner}/{one.id}", page="quality")
        for one in facts.experiments
        if one.bundle == bundle.id
    ]
    return [*students, *vectors, *views, *experiments]


def _inputs(facts: SiteFacts, bundle: BundleManifest) -> list[Step]:
    steps = []
    if bundle.origin:
        steps.append(Step(what="starting weights", name=bundle.origin.name))
    if bundle.training_set:
        name = f"{bundle.training_set['name']}/{bundle.training_set['version']}"
        versions = [one.source_version for one in facts.training_sets if f"{one.name}/{one.version}" == name]
        steps += [Step(what="listings", name=f"version {version}", page="tables") for version in versions]
        steps.append(Step(what="training set", name=name, page="sets"))
    sets = [f"{one['name']}/{one['version']}" for one in bundle.label_sets.values()]
    return steps + [Step(what="label set", name=name, page="sets") for name in sets]
