"""Says which bundle each alias names, from the newest release of a workspace. Releases are appended, never changed.

Creating the file of the next number is the release: of two at once one is created, and the other is told.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from m5model.files import storage
from m5model.files.manifests import from_json
from schemas.errors import ConfigurationError
from schemas.manifests import to_json
from schemas.release import Aliases, ReleaseEvidence, ReleaseRecord, SpaceBundle
from schemas.workspace import Workspace


@dataclass(frozen=True, kw_only=True)
class Served:
    """A bundle whose vectors are embedded and published, and where its views lie."""

    bundle: str
    space_id: str
    views: Workspace  # the workspace itself, or Workspace.next


def list_releases(workspace: Workspace) -> list[ReleaseRecord]:
    """Returns all releases, oldest first."""
    return [_read(workspace, number) for number in _numbers(workspace)]


def newest_release(workspace: Workspace) -> ReleaseRecord | None:
    """Returns the release that holds; None where there was none."""
    numbers = _numbers(workspace)
    return _read(workspace, numbers[-1]) if numbers else None


def current_aliases(workspace: Workspace) -> Aliases:
    newest = newest_release(workspace)
    return Aliases() if newest is None else newest.aliases


def append_release(workspace: Workspace, record: ReleaseRecord) -> None:
    """Let ``record`` hold from now on. Raises ConfigurationError that shows the release that was faster."""
    if storage.write_new(workspace.release(record.number), to_json(record).encode()):
        return
    first = _read(workspace, record.number)
    raise ConfigurationError(
        f"another release was faster: {first.action} of {first.bundle} to {first.alias} at {first.at}. Nothing was changed",
        next_step="look at it with `m5 release`, and release again if that is still wanted",
    )


def served_bundles(workspace: Workspace, now: datetime | None = None) -> tuple[Served, ...]:
    """Returns what is embedded and published: the champion; in an open window the space that readers know, then the new one.

    Empty where nothing was released.
    """
    newest = newest_release(workspace)
    if newest is None or newest.aliases.champion is None:
        return ()
    window = newest.window
    if window is None or not window.is_open(now or datetime.now(UTC)):
        return (_serve(newest.aliases.champion, workspace),)
    return _serve(window.old, workspace), _serve(window.new, workspace.next)


def read_evidence(workspace: Workspace, evidence_id: str) -> ReleaseEvidence:
    """Returns what a release, or a refusal, was decided by."""
    path = workspace.release_evidence(evidence_id)
    return from_json(ReleaseEvidence, storage.read_bytes(path), path)


def _serve(bundle: SpaceBundle, views: Workspace) -> Served:
    return Served(bundle=bundle.bundle, space_id=bundle.space_id, views=views)


def _numbers(workspace: Workspace) -> list[int]:
    names = storage.list_files(workspace.releases)
    return sorted(int(name[:8]) for name in names if re.fullmatch(r"\d{8}\.json", name))


def _read(workspace: Workspace, number: int) -> ReleaseRecord:
    path = workspace.release(number)
    return from_json(ReleaseRecord, storage.read_bytes(path), path)
