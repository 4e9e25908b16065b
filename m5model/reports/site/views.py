"""The facts of feature views: what they declare, what they were made from, and since when changes wait for them.

Profiles are read where they lie beside a view; none is made, because a site writes nothing into a workspace.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from m5model.features.drift import compare_profiles
from m5model.features.freshness import find_waiting
from m5model.features.holds import find_hold
from m5model.features.listings import count_listings
from m5model.features.profiles import StoredProfile, read_profile
from m5model.features.publications import PublishedVersion, read_publications
from m5model.reports.site.facts import ColumnFacts, TableFacts, Version, ViewFacts
from m5model.reports.site.tables import SHOWN_VERSIONS, OpenTable, as_text, describe_table
from schemas.features import FOLDER
from schemas.figure import Figure
from schemas.workspace import Workspace


def describe_view(workspace: Workspace, name: str) -> ViewFacts:
    """The facts of one view."""
    table = OpenTable(workspace.table(f"{FOLDER}/{name}"))
    facts = describe_table(f"{FOLDER}/{name}", table)
    published = read_publications(table.path)
    newest = published[-1] if published else None
    declaration: Mapping[str, Any] = newest.declaration if newest else {}
    waits = find_waiting(workspace, newest) if newest else None
    hours = declaration.get("freshness_hours")
    before, profile = _profiles(workspace, name, str(table.delta.metadata().id), published)
    hold = find_hold(table.path)
    return ViewFacts(
        name=name,
        owner=declaration.get("owner", ""),
        description=declaration.get("description", ""),
        key=declaration.get("key", []),
        columns=_columns(declaration.get("columns", []), profile.profile.nulls if profile else facts.nulls),
        freshness_hours=hours,
        table=facts,
        published=[_shown(one) for one in published[: -SHOWN_VERSIONS - 1 : -1]],
        space_id=newest.space_id if newest else "",
        listings_version=_version(newest, "listings_version"),
        embeddings_version=_version(newest, "embeddings_version"),
        waits_since=as_text(waits) if waits else "",
        due=as_text(waits + timedelta(hours=hours)) if waits and hours is not None else "",
        held=f"version {hold.restored} since {as_text(hold.committed_at)}" if hold else "",
        rows_by_locale=_rows_by_locale(facts, profile),
        coverage=_coverage(workspace, newest, profile),
        drift=_drift(before, profile),
    )


def _profiles(
    workspace: Workspace, name: str, table_id: str, published: Sequence[PublishedVersion]
) -> tuple[StoredProfile | None, StoredProfile | None]:
    """Returns those of the version before and of the newest one, where they are there and of this table."""
    found = [read_profile(workspace, name, one.version) for one in published[-2:]]
    own = [one if one is not None and one.table_id == table_id else None for one in found]
    return (own[0] if len(own) > 1 else None), (own[-1] if own else None)


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


def _rows_by_locale(facts: TableFacts, profile: StoredProfile | None) -> Mapping[str, int]:
    return facts.rows_by_locale or (profile.profile.rows_by_locale if profile else {})


def _coverage(workspace: Workspace, newest: PublishedVersion | None, profile: StoredProfile | None) -> dict[str, float]:
    """Share of the listings that have a row, by locale, of the listings that the view was made from."""
    version = _version(newest, "listings_version")
    listings = count_listings(workspace, version) if version is not None and profile else None
    covered = profile.profile.listings_by_locale if profile else {}
    return {locale: covered.get(locale, 0) / rows for locale, rows in (listings or {}).items() if rows}


def _drift(before: StoredProfile | None, now: StoredProfile | None) -> Sequence[Figure]:
    return compare_profiles(before, now) if before and now else ()
