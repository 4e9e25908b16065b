"""The facts of releases: which bundle each alias names, since when, and by what figures."""

from m5model.bundles.released import list_releases, read_evidence
from m5model.reports.site.facts import ReleaseFacts
from schemas.workspace import Workspace

SHOWN_RELEASES = 100
WITH_EVIDENCE = 5  # the newest ones


def read_releases(workspace: Workspace) -> list[ReleaseFacts]:
    """The newest first."""
    records = list_releases(workspace)[::-1][:SHOWN_RELEASES]
    return [
        ReleaseFacts(
            record=record,
            evidence=read_evidence(workspace, record.evidence) if record.evidence and place < WITH_EVIDENCE else None,
        )
        for place, record in enumerate(records)
    ]
