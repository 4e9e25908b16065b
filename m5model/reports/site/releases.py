"""The facts of releases: which bundle each alias names, since when, and by what figures."""

from m5model.bundles.released import list_releases
from m5model.files import storage
from m5model.files.manifests import from_json
from m5model.reports.site.facts import ReleaseFacts
from schemas.release import ReleaseEvidence, ReleaseRecord
from schemas.workspace import Workspace

SHOWN_RELEASES = 100
WITH_EVIDENCE = 5  # the newest ones


def read_releases(workspace: Workspace) -> list[ReleaseFacts]:
    """The newest first."""
    records = list_releases(workspace)[::-1][:SHOWN_RELEASES]
    return [
        ReleaseFacts(record=record, evidence=_evidence(workspace, record) if place < WITH_EVIDENCE else None)
        for place, record in enumerate(records)
    ]


def _evidence(workspace: Workspace, record: ReleaseRecord) -> ReleaseEvidence | None:
    if record.evidence is None:
        return None
    where = workspace.release_evidence(record.evidence)
    return from_json(ReleaseEvidence, storage.read_bytes(where), where)
