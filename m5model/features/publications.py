"""Reads from a feature view's log which of its versions were published, and what each was made from.

A commit that publishes carries its source, settings and declaration in Delta's ``userMetadata``. Earlier code wrote them as
properties of the table, which an incremental commit cannot change: they count where a commit carries nothing.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from deltalake.exceptions import DeltaError

from m5model.files.delta import open_delta
from m5model.files.delta_log import Commit, list_versions, read_commit
from schemas.canonical import canonical_json
from schemas.features import DECLARATION_PROPERTY, SETTINGS_PROPERTY, SOURCE_PROPERTY
from schemas.report import JsonValue

PUBLISH, ROLLBACK, RELEASE = "publish", "rollback", "release"
_KIND = "m5"
_PROPERTIES = {"source": SOURCE_PROPERTY, "settings": SETTINGS_PROPERTY, "declaration": DECLARATION_PROPERTY}

Values = Mapping[str, JsonValue]


@dataclass(frozen=True, kw_only=True)
class PublishedVersion:
    """A version of a view's table that readers saw as the newest one."""

    version: int
    committed_at: datetime
    operation: str  # "publish", "rollback", or Delta's name of what somebody else did to the rows
    source: Values  # space_id, listings_version, embeddings_version; empty where nobody knows
    settings: Values
    declaration: Values
    restored: int | None = None  # of a rollback: the version whose rows these are

    @property
    def space_id(self) -> str:
        """Empty where nobody knows."""
        return str(self.source.get("space_id", ""))


def describe_commit(operation: str, source: Values, settings: Values, declaration: Values, **more: JsonValue) -> str:
    """The ``userMetadata`` of a commit that publishes: canonical JSON."""
    return canonical_json({_KIND: operation, "source": source, "settings": settings, "declaration": declaration, **more})


def describe_properties(properties: Mapping[str, str], operation: str = PUBLISH) -> str:
    """``describe_commit`` of what the properties of a published table say."""
    known = _read_properties(properties)
    return describe_commit(operation, known["source"], known["settings"], known["declaration"])


def read_publications(path: str) -> list[PublishedVersion]:
    """The published versions that the log still knows, oldest first; none where there is no table."""
    versions = list_versions(path)
    if not versions:
        return []
    commits = [read_commit(path, version) for version in versions]
    return list(_published(commits, _properties_before(path, commits)))


def last_operation(path: str) -> str:
    """Returns what of ours was done last: "publish", "rollback" or "release"; empty where no commit says so."""
    kinds = (_kind(read_commit(path, version)) for version in reversed(list_versions(path)))
    return next((kind for kind in kinds if kind), "")


def _published(commits: Iterable[Commit], properties: Mapping[str, str]) -> Iterable[PublishedVersion]:
    for commit in commits:
        properties = properties if commit.properties is None else commit.properties
        kind = _kind(commit)
        if kind in (PUBLISH, ROLLBACK) or (not kind and (commit.changes_rows or _replaces_the_table(commit))):
            yield _publication(commit, properties)


def _replaces_the_table(commit: Commit) -> bool:
    """Earlier code published so. An empty view that replaces an empty one changes no rows."""
    return commit.operation.endswith("TABLE AS SELECT") and SOURCE_PROPERTY in (commit.properties or {})


def _publication(commit: Commit, properties: Mapping[str, str]) -> PublishedVersion:
    carried = _carried(commit)
    known = {name: carried[name] for name in _PROPERTIES} if carried else _read_properties(properties)
    unsaid = PUBLISH if _replaces_the_table(commit) else commit.operation.lower()
    return PublishedVersion(
        version=commit.version,
        committed_at=commit.committed_at,
        operation=_kind(commit) or unsaid,
        restored=carried.get("restored"),
        **known,
    )


def _kind(commit: Commit) -> str:
    """Returns what of ours the commit did; empty where it carries nothing of ours."""
    return str(_carried(commit).get(_KIND, ""))


def _carried(commit: Commit) -> dict[str, Any]:
    """The commit's own description; empty where it has none, or one that is not ours."""
    try:
        found = json.loads(commit.user_metadata or "null")
    except json.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) and _KIND in found else {}


def _read_properties(properties: Mapping[str, str]) -> dict[str, Values]:
    return {name: json.loads(properties.get(key, "{}")) for name, key in _PROPERTIES.items()}


def _properties_before(path: str, commits: Sequence[Commit]) -> Mapping[str, str]:
    """The table properties that the oldest commit in the log builds on, where one of the commits needs them.

    A log is cut where it is long; none where the table cannot be opened at that version any more.
    """
    first, untold = commits[0], [commit for commit in commits if commit.changes_rows and not _carried(commit)]
    if first.version == 0 or first.properties is not None or not untold:
        return {}
    try:
        return dict(open_delta(path, first.version).metadata().configuration)
    except DeltaError:
        return {}
