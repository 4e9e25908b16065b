"""What a publication has to do, read from the tables' logs: which views are stale, and what they are made from.

No Spark session is needed for it.
"""

import json
from dataclasses import asdict, dataclass

from m5model.files import storage
from schemas.embedding import EMBEDDINGS
from schemas.features import DECLARATION_PROPERTY, FOLDER, SETTINGS_PROPERTY, SOURCE_PROPERTY
from schemas.listing import LISTINGS
from schemas.workspace import Workspace
from spark.delta.changes import last_change
from spark.delta.log import look_up
from spark.features.registry import load_recipes
from spark.features.settings import FeatureSettings

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
    stale: tuple[str, ...]  # source or settings are not those of the published table
    current: tuple[str, ...]


def newest_source(workspace: Workspace, space_id: str) -> FeatureSource:
    """The tables as they are now. Raises ``ConfigurationError`` naming the job to run where there is none."""
    versions = {name: last_change(workspace.table(name), made_by=job) for name, job in MADE_BY.items()}
    return FeatureSource(
        space_id=space_id, embeddings_version=versions[EMBEDDINGS.name], listings_version=versions[LISTINGS.name]
    )


def plan_publication(workspace: Workspace, source: FeatureSource, settings: FeatureSettings) -> Publication:
    """Compare what ``settings`` ask for with what is published."""
    stale = tuple(name for name in settings.views if not _is_current(workspace, name, source, settings))
    current = tuple(name for name in settings.views if name not in stale)
    return Publication(source=source, settings=settings, stale=stale, current=current)


def list_published(workspace: Workspace) -> list[str]:
    """Tables of the views that lie in the workspace, ``features/NAME``, whether or not there is still a recipe."""
    return [f"{FOLDER}/{name}" for name in storage.list_folders(f"{workspace.root}/{FOLDER}")]


def view_path(workspace: Workspace, name: str) -> str:
    """Where the view of that name is published."""
    return workspace.table(load_recipes()[name].view.table().name)


def describe_view(name: str, source: FeatureSource, settings: FeatureSettings) -> dict[str, str]:
    """The properties of the published table."""
    recipe = load_recipes()[name]
    decides = recipe.settings_json(settings.of_view(name))
    if recipe.needs_neighbours:
        decides["neighbours"] = asdict(settings.search_for((name,)))
    return {
        DECLARATION_PROPERTY: recipe.view.declaration(),
        SOURCE_PROPERTY: source.to_json(),
        SETTINGS_PROPERTY: json.dumps(decides, sort_keys=True),
    }


def _is_current(workspace: Workspace, name: str, source: FeatureSource, settings: FeatureSettings) -> bool:
    published = look_up(view_path(workspace, name))
    return published is not None and describe_view(name, source, settings).items() <= published.properties.items()
