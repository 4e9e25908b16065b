"""The facts of feature views: what they declare, what they were made from, and since when changed listings wait for them."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from m5model.features.publications import PublishedVersion, read_publications
from m5model.files import storage
from m5model.files.delta_log import list_versions, read_commit
from m5model.reports.site.facts import ColumnFacts, Version, ViewFacts
from m5model.reports.site.tables import SHOWN_VERSIONS, OpenTable, as_text, describe_table
from schemas.checks import is_name
from schemas.features import FOLDER
from schemas.listing import LISTINGS
from schemas.workspace import Workspace


def list_views(workspace: Workspace) -> list[str]:
    """Names of the views that are published."""
    return [name for name in storage.list_folders(f"{workspace.root}/{FOLDER}") if is_name(name)]


def describe_view(workspace: Workspace, name: str) -> ViewFacts:
    """The facts of one view. Its freshness is measured by the workspace's listings."""
    table = OpenTable(workspace.table(f"{FOLDER}/{name}"))
    facts = describe_table(f"{FOLDER}/{name}", table)
    published = read_publications(table.path)
    newest = published[-1] if published else None
    declaration: Mapping[str, Any] = newest.declaration if newest else {}
    made_from = _version(newest, "listings_version")
    waits = _first_change_after(workspace.table(LISTINGS.name), made_from) if made_from is not None else None
    hours = declaration.get("freshness_hours")
    return ViewFacts(
        name=name,
        owner=declaration.get("owner", ""),
        description=declaration.get("description", ""),
        key=declaration.get("key", []),
        columns=_columns(declaration.get("columns", []), facts.nulls),
        freshness_hours=hours,
        table=facts,
        published=[_shown(one) for one in published[: -SHOWN_VERSIONS - 1 : -1]],
        space_id=newest.space_id if newest else "",
        listings_version=made_from,
        embeddings_version=_version(newest, "embeddings_version"),
        waits_since=as_text(waits) if waits else "",
        due=as_text(waits + timedelta(hours=hours)) if waits and hours is not None else "",
    )


def _version(published: PublishedVersion | None, name: str) -> int | None:
    found = published.source.get(name) if published else None
    return found if isinstance(found, int) else None


def _shown(published: PublishedVersion) -> Version:
    of = "" if published.restored is None else f" to version {published.restored}"
    return Version(number=published.version, at=as_text(published.committed_at), operation=f"{published.operation}{of}")


def _columns(declared: Sequence[Mapping[str, Any]], nulls: Mapping[str, int]) -> list[ColumnFacts]:
    return [
        ColumnFacts(
            name=column["name"],
            type=column["type"],
            unit=column.get("unit", ""),
            meaning=column.get("meaning", ""),
            nulls=nulls.get(column["name"]),
        )
        for column in declared
    ]


def _first_change_after(listings: str, version: int) -> datetime | None:
    """When the listings' rows changed first after ``version``; None where they did not."""
    later = (read_commit(listings, one) for one in list_versions(listings) if one > version)
    return next((commit.committed_at for commit in later if commit.changes_rows), None)
