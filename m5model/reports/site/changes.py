"""Says what changed in a workspace since its last site: each keeps a small file of facts, the next one compares.

A site that is made again of the same workspace keeps what it was compared with, so that it has the same bytes.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from m5model.reports.site.facts import SiteFacts, ViewFacts
from schemas.canonical import canonical_json
from schemas.experiment import ExperimentManifest

KEPT = 500  # of a group, the newest ones

State = Mapping[str, Mapping[str, str]]  # group → name → what it is, in words


@dataclass(frozen=True, kw_only=True)
class Change:
    """Something that came, went, or is not as it was."""

    group: str
    name: str
    before: str | None  # None where it is new
    after: str | None  # None where it is gone


@dataclass(frozen=True, kw_only=True)
class Memory:
    """The file beside a site: the state that it shows, and the different one of the site before."""

    at: str
    state: State
    before_at: str = ""
    before: State | None = None  # None where there was no other site yet
    made_by: str = field(default="m5 report")

    def to_json(self) -> str:
        return canonical_json(self) + "\n"

    @property
    def changes(self) -> list[Change]:
        return [] if self.before is None else list(_compare(self.before, self.state))


def remember(facts: SiteFacts, last: Memory | None) -> Memory:
    """The memory of a site with these facts that follows ``last``."""
    state = state_of(facts)
    if last is None:
        return Memory(at=facts.at, state=state)
    if last.state == state:
        return Memory(at=facts.at, state=state, before_at=last.before_at, before=last.before)
    return Memory(at=facts.at, state=state, before_at=last.at, before=last.state)


def state_of(facts: SiteFacts) -> State:
    """Returns what of the facts is compared."""
    tables = {one.name: f"version {one.version}, {_rows(one.rows)}" for one in facts.tables}
    locales = {name: _rows(rows) for one in facts.tables if one.name == "listings" for name, rows in one.rows_by_locale.items()}
    views = {one.name: _view(one) for one in facts.views}
    state = {
        "tables": tables,
        "listings of a locale": locales,
        "vectors of a space": {one.space_id: _rows(one.rows) for one in facts.spaces},
        "training sets": {f"{one.name}/{one.version}": _rows(one.rows) for one in facts.training_sets},
        "label sets": {f"{one.name}/{one.version}": _rows(one.rows) for one in facts.label_sets},
        "bundles": {one.id: f"{one.kind}, space {one.space_id}" for one in facts.bundles},
        "features": views,
        "released": _aliases(facts),
        "experiments": {f"{one.partner}/{one.id}": _primary(one) for one in facts.experiments},
        "not readable": {f"{one.page}: {one.what}": one.message for one in facts.broken},
    }
    return {group: dict(list(found.items())[-KEPT:]) for group, found in state.items()}


def _aliases(facts: SiteFacts) -> Mapping[str, str]:
    """The bundle that each alias names."""
    if not facts.releases:
        return {}
    named = facts.releases[0].record.aliases.named()
    return {alias: f"{one.bundle}, space {one.space_id}" for alias, one in named.items()}


def _view(view: ViewFacts) -> str:
    held = f", held at {view.held}" if view.held else ""
    return f"version {view.table.version}, {_rows(view.table.rows)}, space {view.space_id}{held}"


def _rows(rows: int | None) -> str:
    return "rows not known" if rows is None else f"{rows:,} rows"


def _primary(experiment: ExperimentManifest) -> str:
    return str(experiment.figures[0]) if experiment.figures else "no figure"


def _compare(before: State, after: State) -> Iterable[Change]:
    for group in sorted({*before, *after}):
        old, new = before.get(group, {}), after.get(group, {})
        for name in sorted({*old, *new}):
            if old.get(name) != new.get(name):
                yield Change(group=group, name=name, before=old.get(name), after=new.get(name))
