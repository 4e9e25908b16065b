"""Brings a view back to a version that was published before: the same files, byte for byte, in one commit."""

from dataclasses import dataclass

from deltalake import CommitProperties
from deltalake.exceptions import CommitFailedError

from m5model.features.holds import commit_note, find_hold, publishing_lease
from m5model.features.publications import ROLLBACK, PublishedVersion, describe_commit, read_publications
from m5model.features.versions import find_version, require_published, require_readable
from m5model.files.delta import open_delta
from schemas.errors import ConfigurationError, SpaceMismatchError
from schemas.features import FOLDER
from schemas.report import JsonValue
from schemas.workspace import Workspace


@dataclass(frozen=True, kw_only=True)
class Rollback:
    """Holds what readers saw before, and what they see now."""

    before: PublishedVersion
    now: PublishedVersion  # its ``restored`` says which version's rows these are
    repeated: bool  # it was rolled back to that version already, so nothing was done

    def as_json(self) -> dict[str, JsonValue]:
        return {
            "before": self.before.version,
            "version": self.now.version,
            "restored": self.now.restored,
            "space_id": self.now.space_id,
            "source": dict(self.now.source),
            "repeated": self.repeated,
        }


def roll_back(workspace: Workspace, view: str, version: int, *, space_id: str | None = None) -> Rollback:
    """Let readers see the rows of ``version`` again, and hold the view there until ``release_view``.

    Killed at any moment, it was done or it was not; repeated, it is done. ``space_id`` must be that version's space where it
    is not the present one. Raises ConfigurationError for a version that was not published, whose files are gone, or while
    another publishes; SpaceMismatchError where readers would get vectors of another space.
    """
    path = workspace.table(f"{FOLDER}/{view}")
    with publishing_lease(workspace, f"rollback of {view}") as lease:
        published = require_published(path, view)
        target, before = find_version(published, view, version), published[-1]
        hold = find_hold(path)
        if hold is not None and hold.restored == target.version and hold.version == before.version:
            return Rollback(before=before, now=before, repeated=True)
        _require_space(view, target, before, space_id)
        require_readable(path, view, target, published)
        lease.check()
        _restore(path, view, target)
    return Rollback(before=before, now=read_publications(path)[-1], repeated=False)


def _restore(path: str, view: str, target: PublishedVersion) -> None:
    metadata = describe_commit(ROLLBACK, target.source, target.settings, target.declaration, restored=target.version)
    commit = CommitProperties(custom_metadata={"userMetadata": metadata}, max_commit_retries=0)
    table = open_delta(path)
    if table.version() == target.version:  # readers see it already: it is held there
        commit_note(path, metadata)
        return
    try:
        table.restore(target.version, commit_properties=commit)
    except CommitFailedError as error:
        raise ConfigurationError(
            f"another writer changed {view} at the same moment: {error}", next_step="look at `m5 features show`, then repeat it"
        ) from error


def _require_space(view: str, target: PublishedVersion, now: PublishedVersion, space_id: str | None) -> None:
    if target.space_id not in (now.space_id, space_id):
        raise SpaceMismatchError(
            f"version {target.version} of {view} is of space {target.space_id}; its readers read space {now.space_id}",
            next_step=f"to break readers that declare {now.space_id}, give --space {target.space_id}; else choose a version of "
            "their space (m5 features show)",
        )
