"""What a publication has to do, read from the tables' logs: which views are stale, and what they are made from.

No Spark session is needed for it.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from m5model.features.publications import PUBLISH, ROLLBACK, PublishedVersion, Values, describe_commit, read_publications
from m5model.features.versions import list_views
from schemas.embedding import EMBEDDINGS
from schemas.features import DECLARATION_PROPERTY, FOLDER, SETTINGS_PROPERTY, SOURCE_PROPERTY
from schemas.listing import LISTINGS
from schemas.workspace import Workspace
from spark.delta.changes import last_change
from spark.delta.log import look_up
from spark.features.registry import load_recipes
from spark.features.settings import FeatureSettings

OURS = (PUBLISH, ROLLBACK)  # operations that leave a view's rows what its source says
MADE_BY = {
    LISTINGS.name: "spark-submit jobs/ingest_catalog.py --feed FEED",
    EMBEDDINGS.name: "spark-submit jobs/embed_catalog.py",
}


@dataclass(frozen=True, kw_only=True)
class FeatureSource:
    """What views are made from."""

    space_id: str
    embeddings_version: int  # Delta version of the embeddings
    listings_version: int  # Delta version of the listings

    def to_json(self) -> str:
        """The value of SOURCE_PROPERTY."""
        return json.dumps(asdict(self), sort_keys=True)


@dataclass(frozen=True, kw_only=True)
class Publication:
    """The views that were asked for, and which of them must be built."""

    source: FeatureSource
    settings: FeatureSettings
    target: Workspace  # that the views are written into
    current: tuple[str, ...]  # source and settings are those of the published table
    updatable: Mapping[str, PublishedVersion]  # the others that changed listings are enough for, with what readers see now
    versions: Mapping[str, int]  # of the tables of those, which the change is committed to
    whole: Mapping[str, str]  # the others, with the reason why they are built whole

    @property
    def stale(self) -> tuple[str, ...]:
        return tuple(name for name in self.settings.views if name not in self.current)


def newest_source(workspace: Workspace, space_id: str) -> FeatureSource:
    """The tables as they are now. Raises ``ConfigurationError`` naming the job to run where there is none."""
    versions = {name: last_change(workspace.table(name), made_by=job) for name, job in MADE_BY.items()}
    return FeatureSource(
        space_id=space_id, embeddings_version=versions[EMBEDDINGS.name], listings_version=versions[LISTINGS.name]
    )


def plan_publication(
    workspace: Workspace,
    source: FeatureSource,
    settings: FeatureSettings,
    *,
    whole: str = "",
    target: Workspace | None = None,
) -> Publication:
    """Compare what ``settings`` ask for with what is published.

    ``whole`` says why all views are built whole, if so. ``target`` is the workspace whose views they are, where it is another
    than that of the tables.
    """
    target = target or workspace
    if any(load_recipes()[name].needs_neighbours for name in settings.views):
        settings = settings.with_cells(workspace, source.space_id)
    # Before the publications are read: a commit that comes between is then met as a conflict.
    states = {name: look_up(view_path(target, name)) for name in settings.views}
    published = {name: newest_publication(view_path(target, name)) for name in settings.views}
    wanted = {name: describe_view(name, source, settings) for name in settings.views}
    current = tuple(name for name, found in published.items() if found and not whole and _is_made_as(found, wanted[name]))
    stale = {name: found for name, found in published.items() if name not in current}
    reasons = {name: whole or _whole_because(name, found, wanted[name]) for name, found in stale.items()}
    return Publication(
        source=source,
        settings=settings,
        target=target,
        current=current,
        updatable={name: found for name, found in stale.items() if found and not reasons[name]},
        versions={name: state.version for name, state in states.items() if state},
        whole={name: reason for name, reason in reasons.items() if reason},
    )


def newest_publication(path: str) -> PublishedVersion | None:
    """What readers of the view see; None where there is no table."""
    found = read_publications(path)
    return found[-1] if found else None


def source_of(published: PublishedVersion) -> FeatureSource:
    """What the rows that readers see were made from."""
    return FeatureSource(**published.source)  # type: ignore[arg-type]


def list_published(workspace: Workspace) -> list[str]:
    """Tables of the views that lie in the workspace, ``features/NAME``, whether or not there is still a recipe."""
    return [f"{FOLDER}/{name}" for name in list_views(workspace)]


def view_path(workspace: Workspace, name: str) -> str:
    """Where the view of that name is published."""
    return workspace.table(load_recipes()[name].view.table().name)


def describe_view(name: str, source: FeatureSource, settings: FeatureSettings) -> dict[str, Values]:
    """The source, settings and declaration of a view, as a commit that publishes it carries them."""
    recipe = load_recipes()[name]
    decides = recipe.settings_json(settings.of_view(name))
    if recipe.needs_neighbours:
        decides["neighbours"] = asdict(settings.search_for((name,)))
        decides["cells"] = settings.cells
    declaration = json.loads(recipe.view.declaration())
    # As they are read again: JSON knows no tuples.
    return {"source": asdict(source), "settings": json.loads(json.dumps(decides)), "declaration": declaration}


def describe_commit_of(name: str, source: FeatureSource, settings: FeatureSettings) -> str:
    """The user metadata of the commit."""
    described = describe_view(name, source, settings)
    return describe_commit(PUBLISH, described["source"], described["settings"], described["declaration"])


def describe_table(name: str, source: FeatureSource, settings: FeatureSettings) -> dict[str, str]:
    """The properties of the published table, for those who read them."""
    described = describe_view(name, source, settings)
    return {
        DECLARATION_PROPERTY: load_recipes()[name].view.declaration(),
        SOURCE_PROPERTY: source.to_json(),
        SETTINGS_PROPERTY: json.dumps(described["settings"], sort_keys=True),
    }


def _is_made_as(published: PublishedVersion, wanted: Mapping[str, Values]) -> bool:
    return _carried(published) == wanted and published.operation in OURS


def _carried(published: PublishedVersion) -> dict[str, Values]:
    return {"source": published.source, "settings": published.settings, "declaration": published.declaration}


def _whole_because(name: str, published: PublishedVersion | None, wanted: Mapping[str, Values]) -> str:
    """Why changed listings are not enough; empty where they are."""
    if published is None:
        return "it was not published before"
    if published.operation not in OURS:
        return f"its rows were changed by another's {published.operation.upper()}"
    if published.source.keys() != wanted["source"].keys():
        return "what it was made from is not known"
    if published.space_id != wanted["source"]["space_id"]:
        return f"it is of space {published.space_id}"
    others = [part for part in ("settings", "declaration") if _carried(published)[part] != wanted[part]]
    return f"its {' and '.join(others)} changed" if others else load_recipes()[name].rebuilt_because
