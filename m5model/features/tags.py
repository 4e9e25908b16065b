"""Says what catalogs and feature stores are told about a published view: plain names and texts."""

from m5model.features.lineage import trace
from m5model.features.profiles import describe_key
from m5model.features.publications import PublishedVersion
from schemas.workspace import Workspace

PREFIX = "m5."


def describe_tags(workspace: Workspace, published: PublishedVersion) -> dict[str, str]:
    """Tags of a published version; what nobody knows is left out."""
    lineage = trace(workspace, published)
    bundle, teacher = lineage["bundle"], lineage["teacher"]
    sets = {name for one in (bundle, teacher) if isinstance(one, dict) for name in _sets(one)}
    tags = {
        "space_id": published.space_id,
        "bundle": str(bundle["id"]) if isinstance(bundle, dict) else "",
        "sets": ",".join(sorted(sets)),
        "key": ",".join(describe_key(published)),
        "owner": str(published.declaration.get("owner", "")),
        "version": str(published.version),
        "freshness_hours": str(published.declaration.get("freshness_hours", "")),
    }
    return {PREFIX + name: value for name, value in tags.items() if value}


def _sets(bundle: dict) -> list[str]:  # type: ignore[type-arg]
    return [name for name in (bundle["training_set"], *bundle["label_sets"]) if name]
