"""Says whether a view keeps what it declares: the hours within which a changed listing must show."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from m5model.features.publications import PublishedVersion
from m5model.files.delta_log import Commit, list_versions, read_commit
from schemas.embedding import EMBEDDINGS
from schemas.listing import LISTINGS
from schemas.workspace import Workspace

_SOURCES = {LISTINGS.name: "listings_version", EMBEDDINGS.name: "embeddings_version"}


@dataclass(frozen=True, kw_only=True)
class Freshness:
    """Says how long the oldest change waits that the view does not show."""

    declared_hours: float | None  # None where the view declares none
    waiting_hours: float  # 0 where it shows everything

    @property
    def is_stale(self) -> bool:
        return self.declared_hours is not None and self.waiting_hours > self.declared_hours


def measure_freshness(workspace: Workspace, newest: PublishedVersion, now: datetime) -> Freshness:
    """Of what readers see now. A view whose source nobody knows shows everything, as far as anybody knows."""
    since = find_waiting(workspace, newest)
    declared = newest.declaration.get("freshness_hours")
    hours = max(0.0, (now - since).total_seconds() / 3600) if since else 0.0
    return Freshness(declared_hours=float(declared) if isinstance(declared, int | float) else None, waiting_hours=hours)


def find_waiting(workspace: Workspace, newest: PublishedVersion) -> datetime | None:
    """When the oldest change was made that the view does not show; None where it shows everything."""
    return min((commit.committed_at for commit in _unpublished(workspace, newest)), default=None)


def _unpublished(workspace: Workspace, newest: PublishedVersion) -> Iterator[Commit]:
    """The first change of each source's rows after the version that the view was made from."""
    for table, name in _SOURCES.items():
        version, path = newest.source.get(name), workspace.table(table)
        if isinstance(version, int):
            later = (read_commit(path, other) for other in list_versions(path) if other > version)
            yield from (commit for commit in [next((one for one in later if one.changes_rows), None)] if commit)
