"""Which spaces are published, and into which views: one space, or while a release's window is open two."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace

from m5model.bundles.find import find_bundle, read_manifest
from m5model.bundles.released import served_bundles
from m5model.features.holds import explain_hold, find_holds
from m5model.features.publications import PublishedVersion, Values
from schemas.report import JsonValue
from schemas.workspace import Workspace
from spark.features.publication import Publication, describe_view, newest_source, plan_publication
from spark.features.published import PublishedView
from spark.features.settings import FeatureSettings


@dataclass(frozen=True, kw_only=True)
class Target:
    """A space, and the workspace whose views are made from it."""

    space_id: str
    views: Workspace


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is published of one space."""

    publication: Publication
    held: Mapping[str, PublishedVersion]  # views that a rollback holds

    @property
    def decides(self) -> dict[str, dict[str, Values]]:
        publication = self.publication
        views = publication.settings.views
        return {name: describe_view(name, publication.source, publication.settings) for name in views}

    @property
    def warnings(self) -> list[str]:
        return [explain_hold(name, hold) for name, hold in self.held.items()]

    def as_json(self, views: list[PublishedView]) -> dict[str, JsonValue]:
        return {
            "source": json.loads(self.publication.source.to_json()),
            "views": {view.name: view.as_json() for view in views},
            "held": {name: hold.restored for name, hold in self.held.items()},
        }


def find_targets(workspace: Workspace, space_id: str | None) -> list[Target]:
    """That space, else those of the released bundles, else that of the newest student."""
    if space_id is None:
        served = served_bundles(workspace)
        if served:
            return [Target(space_id=one.space_id, views=one.views) for one in served]
        space_id = read_manifest(find_bundle(workspace, None, "student", "--space")).space_id
    return [Target(space_id=space_id, views=workspace)]


def plan_target(
    workspace: Workspace, target: Target, settings: FeatureSettings, *, whole: str = "", retrain_cells: bool = False
) -> Plan:
    """What has to be done for a target; views that a rollback holds are left out. See ``plan_publication`` for ``whole``."""
    held = find_holds(target.views, settings.views)
    free = replace(settings, views=tuple(name for name in settings.views if name not in held))
    free = free.pinned(workspace, target.space_id)
    source = newest_source(workspace, target.space_id)
    if retrain_cells:
        free.forget_cells(workspace, target.space_id)
    return Plan(publication=plan_publication(workspace, source, free, whole=whole, target=target.views), held=held)
