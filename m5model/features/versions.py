"""Finds published versions: the views of a workspace, one by its number or a time, and whether it can be read still."""

from collections.abc import Sequence
from datetime import UTC, datetime

import pyarrow.fs as pafs
from deltalake.exceptions import DeltaError, TableNotFoundError

from m5model.features.publications import PublishedVersion, read_publications
from m5model.files import storage
from m5model.files.delta import open_delta
from schemas.errors import ConfigurationError
from schemas.features import FOLDER
from schemas.workspace import Workspace

PUBLISH_JOB = "spark-submit jobs/publish_features.py"


def list_views(workspace: Workspace) -> list[str]:
    """Names of the views that are published in the workspace, sorted."""
    names = storage.list_folders(f"{workspace.root}/{FOLDER}")
    return [name for name in names if storage.exists(f"{workspace.root}/{FOLDER}/{name}/_delta_log")]


def require_published(path: str, view: str) -> list[PublishedVersion]:
    """The published versions, oldest first. Raises ConfigurationError where there is none."""
    published = read_publications(path)
    if not published:
        others = ", ".join(list_views(Workspace(path.rpartition(f"/{FOLDER}/")[0]))) or "none"
        raise ConfigurationError(
            f"the view {view!r} is not published at {path}; published are: {others}", next_step=f"run {PUBLISH_JOB}"
        )
    return published


def find_version(published: Sequence[PublishedVersion], view: str, version: int) -> PublishedVersion:
    """Raises ConfigurationError that names the published versions."""
    found = next((one for one in published if one.version == version), None)
    if found is None:
        known = ", ".join(str(one.version) for one in published)
        raise ConfigurationError(
            f"version {version} of {view} was not published, or its log is gone", next_step=f"give one of: {known}"
        )
    return found


def find_as_of(published: Sequence[PublishedVersion], view: str, as_of: str) -> PublishedVersion:
    """The version that ``as_of`` names: its number, or a time (ISO 8601; UTC without a zone) at which readers saw it.

    Raises ConfigurationError for anything else, and for a time before the first version.
    """
    if as_of.isdecimal():
        return find_version(published, view, int(as_of))
    moment = _parse_time(as_of)
    found = [one for one in published if one.committed_at <= moment]
    if not found:
        first = published[0]
        raise ConfigurationError(
            f"{view} was not published at {as_of}; the first version that is known, {first.version}, is of "
            f"{first.committed_at:%Y-%m-%d %H:%M:%S} UTC",
            next_step="give a later time",
        )
    return found[-1]


def missing_files(path: str, version: int) -> list[str] | None:
    """The data files of that version that are gone; None where its log is gone."""
    try:
        files = open_delta(path, version).file_uris()
    except (DeltaError, TableNotFoundError):
        return None
    infos = storage.get_infos(files)
    return [file for file, info in zip(files, infos, strict=True) if info.type == pafs.FileType.NotFound]


def list_readable(path: str, published: Sequence[PublishedVersion]) -> list[PublishedVersion]:
    """Returns those of the versions whose log and files are all there."""
    return [one for one in published if missing_files(path, one.version) == []]


def require_readable(path: str, view: str, target: PublishedVersion, published: Sequence[PublishedVersion]) -> None:
    """Raise ConfigurationError that names the versions that can be read, where ``target`` is none of them."""
    gone = missing_files(path, target.version)
    if gone is None or gone:
        what = "its log is gone" if gone is None else f"{len(gone)} of its files are gone, e.g. {gone[0]}"
        readable = ", ".join(str(found.version) for found in list_readable(path, published)) or "none"
        raise ConfigurationError(
            f"version {target.version} of {view} cannot be read any more: {what}",
            next_step=f"choose one of the versions that can be read ({readable}), or publish anew; schemas/retention.py says "
            "how long versions are kept",
        )


def _parse_time(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise ConfigurationError(
            f"{text!r} is neither a version nor a time", next_step="give a number, or a time such as 2026-11-28T06:00"
        ) from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
