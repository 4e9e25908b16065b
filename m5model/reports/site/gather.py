"""Finds the facts of a workspace's site. What cannot be read becomes a Broken, and the rest is shown all the same."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol, TypeVar

from m5model.bundles.find import list_bundle_ids
from m5model.bundles.find import read_manifest as read_bundle
from m5model.data.set_versions import read_label_manifest, read_manifest, version_names
from m5model.files import storage
from m5model.partners.finished import find_finished
from m5model.reports.site.attempts import Attempts
from m5model.reports.site.embedding_sample import draw_space
from m5model.reports.site.facts import LanguageCounts, MapFacts, SiteFacts, SpaceFacts
from m5model.reports.site.jobs import SHOWN_JOBS, list_reports, read_job
from m5model.reports.site.languages_of_listings import count_languages
from m5model.reports.site.releases import read_releases
from m5model.reports.site.spaces import count_spaces
from m5model.reports.site.tables import OpenTable, describe_table
from m5model.reports.site.views import describe_view
from schemas.bundle import BundleManifest
from schemas.checks import is_name
from schemas.embedding import EMBEDDING_REJECTS, EMBEDDINGS
from schemas.errors import ConfigurationError, DamagedFileError
from schemas.experiment import ExperimentManifest
from schemas.features import FOLDER
from schemas.listing import LISTING_TOMBSTONES, LISTINGS
from schemas.reject import LISTING_REJECTS
from schemas.workspace import Workspace

TABLES = (LISTINGS.name, LISTING_REJECTS.name, LISTING_TOMBSTONES.name, EMBEDDINGS.name, EMBEDDING_REJECTS.name)


class Made(Protocol):
    """A manifest that says when it was made."""

    @property
    def created_at(self) -> str: ...


class Versioned(Made, Protocol):
    """The manifest of a version of a set."""

    @property
    def name(self) -> str: ...
    @property
    def version(self) -> str: ...


Value = TypeVar("Value")
Dated = TypeVar("Dated", bound=Made)
Set = TypeVar("Set", bound=Versioned)


def gather_facts(workspace: Workspace) -> SiteFacts:
    """All that the site shows. Raises ConfigurationError where there is no workspace."""
    if not storage.exists(workspace.root):
        raise ConfigurationError(
            f"there is no workspace {workspace.root}",
            next_step="make one with `spark-submit jobs/ingest_catalog.py --feed FEED` (or `make demo`), or give --workspace",
        )
    seen = Attempts()
    tables = seen.each("tables", lambda: TABLES, lambda name: _open(workspace, name))
    listings, embeddings = tables.get(LISTINGS.name), tables.get(EMBEDDINGS.name)
    bundles = seen.each("models", lambda: list_bundle_ids(workspace), lambda name: _bundle(workspace, name))
    spaces = seen.read("tables", "spaces of the embeddings", lambda: _spaces(embeddings, list(bundles.values()))) or []
    reports = seen.read("jobs", "reports", lambda: list_reports(workspace)) or []
    views = seen.each("features", lambda: _view_folders(workspace), lambda name: describe_view(workspace, name))
    return SiteFacts(
        workspace=workspace.root,
        tables=_values(seen.each("tables", lambda: tables, lambda name: describe_table(name, tables[name]))),
        languages=seen.read("tables", "languages of the listings", lambda: _languages(listings)),
        spaces=spaces,
        training_sets=_by_age(_sets(seen, workspace.training_sets, read_manifest)),
        label_sets=_by_age(_sets(seen, workspace.label_sets, read_label_manifest)),
        bundles=_by_age(bundles),
        views=_values(views),
        experiments=_by_age(_experiments(seen, workspace)),
        map=seen.read("map", "embeddings", lambda: _map(embeddings, spaces, listings)),
        jobs=_values(seen.each("jobs", lambda: reports[:SHOWN_JOBS], lambda name: read_job(workspace, name))),
        releases=seen.read("models", "releases", lambda: read_releases(workspace)) or [],
        other_jobs=max(0, len(reports) - SHOWN_JOBS),
        broken=seen.broken,
    )


def _values(found: Mapping[str, Value]) -> list[Value]:
    return list(found.values())


def _by_age(found: Mapping[str, Dated]) -> list[Dated]:
    """Manifests, oldest first."""
    return sorted(found.values(), key=lambda one: one.created_at)


def _open(workspace: Workspace, name: str) -> OpenTable | None:
    path = workspace.table(name)
    return OpenTable(path) if storage.exists(path) else None  # a folder without a log is a table that lost it


def _view_folders(workspace: Workspace) -> list[str]:
    """All that lie where views do, with a log or without."""
    return [name for name in storage.list_folders(f"{workspace.root}/{FOLDER}") if is_name(name)]


def _bundle(workspace: Workspace, name: str) -> BundleManifest:
    manifest = read_bundle(workspace.bundle(name))
    return _require_own(manifest, manifest.id, name)


def _sets(seen: Attempts, root: str, read: Callable[[str], Set]) -> dict[str, Set]:
    def read_one(name: str) -> Set:
        manifest = read(f"{root}/{name}")
        return _require_own(manifest, f"{manifest.name}/{manifest.version}", name)

    return seen.each("sets", lambda: version_names(root), read_one)


def _experiments(seen: Attempts, workspace: Workspace) -> dict[str, ExperimentManifest]:
    def names() -> Iterable[str]:
        partners = filter(is_name, storage.list_folders(workspace.experiments))
        return [f"{one}/{name}" for one in partners for name in storage.list_folders(f"{workspace.experiments}/{one}")]

    return seen.each("quality", names, lambda name: find_finished(workspace, *name.split("/")))


def _require_own(manifest: Value, says: str, name: str) -> Value:
    """``manifest``, where it is that of the folder ``name``."""
    if says != name:
        raise DamagedFileError(f"the folder {name} holds the manifest of {says}", next_step="restore the folder, or remove it")
    return manifest


def _languages(listings: OpenTable | None) -> LanguageCounts | None:
    return None if listings is None else count_languages(listings)


def _spaces(embeddings: OpenTable | None, bundles: Sequence[BundleManifest]) -> list[SpaceFacts]:
    """Spaces of the embeddings, that with most vectors first."""
    if embeddings is None:
        return []
    makers: dict[str, list[str]] = defaultdict(list)
    for bundle in bundles:
        makers[bundle.space_id].append(bundle.id)
    counts, is_counted = count_spaces(embeddings)
    return [
        SpaceFacts(space_id=space, rows=rows, is_counted=is_counted, bundles=sorted(makers[space]))
        for space, rows in counts.items()
    ]


def _map(embeddings: OpenTable | None, spaces: Sequence[SpaceFacts], listings: OpenTable | None) -> MapFacts | None:
    """The map of the space with most vectors."""
    if embeddings is None or not spaces:
        return None
    return draw_space(embeddings, spaces[0].space_id, spaces[0].rows, listings)
