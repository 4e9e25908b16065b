"""A view that was rolled back is held: nothing is published over it until somebody releases it.

The rollback's own commit is the hold, so that no kill comes between the two.
"""

from collections.abc import Iterable

from deltalake import CommitProperties

from m5model.features.publications import (
    RELEASE,
    ROLLBACK,
    PublishedVersion,
    describe_commit,
    last_operation,
    read_publications,
)
from m5model.files.delta import open_delta
from m5model.files.lease import Lease
from schemas.features import FOLDER
from schemas.workspace import Workspace


def publishing_lease(workspace: Workspace, holder: str) -> Lease:
    """Whoever changes which rows of views readers see holds this: one run at a time.

    A publication that looks for holds under it cannot undo a rollback that came between.
    """
    return Lease(workspace.leases(FOLDER), holder)


def find_hold(path: str) -> PublishedVersion | None:
    """The rollback that holds the view at ``path``; None where it was released or published since."""
    if last_operation(path) != ROLLBACK:
        return None
    return next(found for found in reversed(read_publications(path)) if found.operation == ROLLBACK)


def find_holds(workspace: Workspace, views: Iterable[str]) -> dict[str, PublishedVersion]:
    """The rollbacks that hold some of these views, by view."""
    found = {name: find_hold(workspace.table(f"{FOLDER}/{name}")) for name in views}
    return {name: hold for name, hold in found.items() if hold is not None}


def explain_hold(view: str, hold: PublishedVersion) -> str:
    """A sentence for reports and people."""
    since = f"{hold.committed_at:%Y-%m-%d %H:%M} UTC"
    return f"{view} is held at version {hold.restored} since {since}: `m5 features release {view}` lets it be published again"


def release_view(workspace: Workspace, view: str) -> PublishedVersion | None:
    """Let the view be published again; readers go on seeing the same rows. Returns the hold; None where there was none.

    Safe to repeat. Raises ConfigurationError while another publishes.
    """
    path = workspace.table(f"{FOLDER}/{view}")
    with publishing_lease(workspace, f"release of {view}") as lease:
        hold = find_hold(path)
        if hold is not None:
            lease.check()
            commit_note(path, describe_commit(RELEASE, hold.source, hold.settings, hold.declaration))
    return hold


def commit_note(path: str, metadata: str) -> None:
    """Commit ``metadata`` alone: neither rows nor properties change."""
    table = open_delta(path)
    table.create_write_transaction(
        [],
        mode="append",
        schema=table.schema(),
        partition_by=table.metadata().partition_columns,
        commit_properties=CommitProperties(custom_metadata={"userMetadata": metadata}),
    )
