"""The facts of jobs' reports, the newest first."""

import re
from datetime import UTC, datetime

from m5model.files import storage
from m5model.files.manifests import read_object
from m5model.reports.site.facts import JobFacts
from m5model.reports.site.tables import as_text
from schemas.workspace import Workspace

SHOWN_JOBS = 150


def list_reports(workspace: Workspace) -> list[str]:
    """File names of the reports, the newest first; names of old versions, which hold no time, come last."""
    files = (name for name in storage.list_files(workspace.reports) if name.endswith(".json"))
    names = (name for name in files if not name.endswith(".pin.json"))
    return sorted(names, key=lambda name: (_stamp(name), name), reverse=True)


def read_job(workspace: Workspace, name: str) -> JobFacts:
    """The facts of the report ``name``."""
    where = f"{workspace.reports}/{name}"
    values = read_object(storage.read_bytes(where), where)
    stamp = _stamp(name)
    return JobFacts(
        job=str(values["job"]),
        run_id=str(values["run_id"]),
        at=as_text(datetime.strptime(stamp, "%Y%m%dT%H%M%S").replace(tzinfo=UTC)) if stamp else "",
        seconds=float(values["seconds"]),
        accounting=dict(values.get("accounting") or {}),
        warnings=[str(warning) for warning in values.get("warnings", [])],
    )


def _stamp(name: str) -> str:
    """When the job started; empty where the name does not say."""
    found = re.search(r"(?:^|-)(\d{8}T\d{6})-[0-9a-f]{8}\.json$", name)
    return found[1] if found else ""
