"""Says where a published version comes from: feeds → listings → sets → bundle → view, as the workspace has written it down."""

import json
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta

from m5model.bundles.find import list_bundles
from m5model.features.publications import PublishedVersion
from m5model.files import storage
from m5model.files.delta_log import list_versions, read_commit
from schemas.bundle import BundleManifest
from schemas.embedding import EMBEDDINGS
from schemas.listing import LISTINGS
from schemas.report import JsonValue
from schemas.workspace import Workspace

INGEST_JOBS = ("ingest_catalog", "replay_rejects")
MAX_FEEDS = 20  # files of one ingest run that are named
_STARTED = re.compile(r"(\d{8}T\d{6})-[0-9a-f]{6,8}\.json$")
_SLACK = timedelta(seconds=5)  # a report says when it started in whole seconds, and is written after the commit


def trace(workspace: Workspace, published: PublishedVersion) -> dict[str, JsonValue]:
    """The chain as one JSON object; what nobody wrote down is null or empty.

    A space without a bundle is one whose bundle was dropped, or that another workspace made.
    """
    listings = _table_version(workspace, LISTINGS.name, published.source.get("listings_version"))
    bundles = {bundle.id: bundle for bundle in list_bundles(workspace)}
    made_by = [one for one in bundles.values() if published.space_id in (one.space_id, one.space_id_fp32)]
    student = made_by[0] if made_by else None
    teacher = bundles.get(student.parent) if student and student.parent else None
    return {
        "ingest": _ingest_runs(workspace, listings),
        "listings": listings,
        "embeddings": _table_version(workspace, EMBEDDINGS.name, published.source.get("embeddings_version")),
        "bundle": _describe(student),
        "teacher": _describe(teacher),
        "space_id": published.space_id,
        "view_version": published.version,
    }


def _table_version(workspace: Workspace, table: str, version: object) -> dict[str, JsonValue] | None:
    """Version and time; the time is null where the table's log does not reach back so far."""
    if not isinstance(version, int):
        return None
    path = workspace.table(table)
    known = version in list_versions(path)
    return {"version": version, "committed_at": read_commit(path, version).committed_at.isoformat() if known else None}


def _describe(bundle: BundleManifest | None) -> dict[str, JsonValue] | None:
    if bundle is None:
        return None
    return {
        "id": bundle.id,
        "kind": bundle.kind,
        "created_at": bundle.created_at,
        "training_set": _set_name(bundle.training_set),
        "label_sets": [_set_name(one) for _, one in sorted(bundle.label_sets.items())],
    }


def _set_name(named: Mapping[str, str] | None) -> str | None:
    return f"{named['name']}/{named['version']}" if named else None


def _ingest_runs(workspace: Workspace, listings: Mapping[str, JsonValue] | None) -> list[JsonValue]:
    """The runs whose reports cover the moment at which the listings' version was committed."""
    if listings is None or not isinstance(listings["committed_at"], str):
        return []
    moment = datetime.fromisoformat(listings["committed_at"])
    return [_describe_run(report) for report in _reports_around(workspace, moment)]


def _describe_run(report: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    accounts = report.get("accounts")
    files = (
        [str(one["file"]) for one in accounts if isinstance(one, dict) and "file" in one] if isinstance(accounts, list) else []
    )
    return {"job": report["job"], "run_id": report["run_id"], "files": report.get("files"), "feeds": list(files[:MAX_FEEDS])}


def _reports_around(workspace: Workspace, moment: datetime) -> Iterable[dict[str, JsonValue]]:
    for name in storage.list_files(workspace.reports):
        started = _STARTED.search(name)
        if not started or not name.startswith(INGEST_JOBS):
            continue
        begin = datetime.strptime(started[1], "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
        if begin - _SLACK <= moment:
            report = json.loads(storage.read_bytes(f"{workspace.reports}/{name}"))
            if moment <= begin + timedelta(seconds=report.get("seconds", 0)) + _SLACK:
                yield report
