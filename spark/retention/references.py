"""Finds what refers to what in a workspace: feature view → space → student → teacher → sets, and → versions of tables.

Things are named as they lie in the workspace: ``training_sets/NAME/VERSION``, ``label_sets/NAME/VERSION``, ``bundles/ID``,
``spaces/ID``, ``features/VIEW``, ``features/VIEW@VERSION``, ``listings@VERSION``, ``runs/ID``.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import MappingProxyType

from m5model.bundles.find import list_bundles
from m5model.bundles.released import current_aliases
from m5model.features.history import kept_versions
from m5model.features.publications import read_publications
from m5model.files import storage
from schemas.bundle import BundleManifest
from schemas.checks import is_name
from schemas.release import Aliases
from schemas.report import is_report_of
from schemas.workspace import Workspace
from spark.features.publication import list_published

# Live without a reference: the newest of its kind.
NEWEST = "the newest"
NO_RELEASE = Aliases()


@dataclass(frozen=True)
class References:
    """``users[thing]`` are the things that need it, each of which is live itself."""

    users: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def chain(self, thing: str) -> tuple[str, ...]:
        """``thing``, who needs it, who needs that, … to something that is live by itself; empty where nobody does."""
        if thing not in self.users:
            return ()
        user = self.users[thing][0]
        return (thing, *(self.chain(user) or (user,)))


def find_references(workspace: Workspace, keep_versions: int = 0) -> References:
    """All references of the workspace as it is now. Of each view so many published versions can be gone back to."""
    sources: dict[str, Mapping[str, object]] = {}
    kept: dict[str, str] = {}
    for table in list_published(workspace):
        path, name = workspace.table(table), table.rpartition("/")[2]
        published = read_publications(path)
        if published and published[-1].source:
            sources[name] = published[-1].source
        versions = kept_versions(path, keep_versions, datetime.now(UTC)) if keep_versions else []
        kept |= {f"{name}@{one.version}": one.space_id for one in published[:-1] if one.version in versions and one.space_id}
    return link(list_bundles(workspace), sources, find_unfinished_runs(workspace), kept, current_aliases(workspace))


def link(
    bundles: list[BundleManifest],
    views: Mapping[str, Mapping[str, object]],
    runs: Mapping[str, int],
    kept: Mapping[str, str] = MappingProxyType({}),
    aliases: Aliases = NO_RELEASE,
) -> References:
    """References of these bundles (oldest first), views (name → source) and unfinished embed runs (id → listings' version).

    ``kept`` are older versions of views that can be gone back to (name@version → space), ``aliases`` of the newest release.
    """
    users = _named_by(aliases)
    for name, source in views.items():
        for thing in (
            f"spaces/{source['space_id']}",
            f"listings@{source['listings_version']}",
            f"embeddings@{source['embeddings_version']}",
        ):
            users.setdefault(thing, []).append(f"features/{name}")
    for name, space in kept.items():
        users.setdefault(f"spaces/{space}", []).append(f"features/{name}, which m5 features rollback can go back to")
    for run, version in runs.items():
        users.setdefault(f"listings@{version}", []).append(f"runs/{run}, which has not finished")
    newest = {bundle.kind: bundle for bundle in bundles if not bundle.same_space}
    for kind, bundle in newest.items():
        users.setdefault(f"bundles/{bundle.id}", []).append(f"{NEWEST} {kind}")
        if kind == "student":
            users.setdefault(f"spaces/{bundle.space_id}", []).append(f"bundles/{bundle.id}")
    for bundle in reversed(bundles):  # a student comes after the teacher that it was made from
        of_space = next((f"spaces/{space}" for space in _spaces(bundle) if f"spaces/{space}" in users), None)
        name = f"bundles/{bundle.id}"
        if name not in users and of_space is not None:
            users[name] = [of_space]
        if name not in users:
            continue
        for other in bundle.same_space:
            users.setdefault(f"bundles/{other.bundle}", []).append(name)
        if bundle.parent:
            users.setdefault(f"bundles/{bundle.parent}", []).append(name)
        if bundle.training_set:
            users.setdefault(f"training_sets/{bundle.training_set['name']}/{bundle.training_set['version']}", []).append(name)
        for label_set in bundle.label_sets.values():
            users.setdefault(f"label_sets/{label_set['name']}/{label_set['version']}", []).append(name)
    return References({thing: tuple(names) for thing, names in users.items()})


def _named_by(aliases: Aliases) -> dict[str, list[str]]:
    """Bundles that an alias names, and the spaces that readers have or may be moved back to."""
    users: dict[str, list[str]] = {}
    for alias, named in aliases.named().items():
        users.setdefault(f"bundles/{named.bundle}", []).append(f"the release's {alias}")
        if alias != "candidate":
            users.setdefault(f"spaces/{named.space_id}", []).append(f"bundles/{named.bundle}")
    return users


def _spaces(bundle: BundleManifest) -> Iterable[str]:
    """Returns those of its vectors, and those that its queries are for."""
    return (bundle.space_id, bundle.space_id_fp32, *(other.space_id for other in bundle.same_space))


def find_unfinished_runs(workspace: Workspace) -> dict[str, int]:
    names = storage.list_files(workspace.reports)
    pinned = [name.removesuffix(".pin.json") for name in names if name.endswith(".pin.json")]
    unfinished = [run for run in pinned if is_name(run) and not any(is_report_of(run, name) for name in names)]
    return {run: int(json.loads(storage.read_bytes(workspace.pin(run)))["listings_version"]) for run in unfinished}
