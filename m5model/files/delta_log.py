"""Reads the commits in a Delta table's log: their JSON files alone, neither rows nor checkpoints."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from m5model.files import storage

Action = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Commit:
    """One version of a table, as its log tells it."""

    version: int
    committed_at: datetime  # by the writer's clock
    operation: str  # Delta's own name: WRITE, MERGE, RESTORE, VACUUM END, …
    user_metadata: str  # what the writer had to say; empty where it said nothing
    changes_rows: bool  # it added or removed data; False for VACUUM, OPTIMIZE and properties
    properties: Mapping[str, str] | None  # all table properties from here on; None where the commit leaves them as they were


def list_versions(path: str) -> list[int]:
    """The versions whose commits are in the log, oldest first; none where there is no table."""
    names = storage.list_files(f"{path}/_delta_log")
    return sorted(int(name[:20]) for name in names if re.fullmatch(r"\d{20}\.json", name))


def read_commit(path: str, version: int) -> Commit:
    """Raises FileNotFoundError where the log has no such version (any more)."""
    lines = storage.read_bytes(f"{path}/_delta_log/{version:020d}.json").splitlines()
    info = _first(lines, "commitInfo") or {}
    metadata = _first(lines, "metaData")
    return Commit(
        version=version,
        committed_at=_instant(info.get("inCommitTimestamp") or info.get("timestamp") or 0),
        operation=info.get("operation", ""),
        user_metadata=info.get("userMetadata") or "",
        changes_rows=any(_changes_rows(line) for line in lines),
        properties=None if metadata is None else metadata.get("configuration", {}),
    )


def _first(lines: Sequence[bytes], kind: str) -> Action | None:
    """The commit's action of that kind, of which it has one at most."""
    begin = b'{"' + kind.encode() + b'"'
    found = next((line for line in lines if line.lstrip().startswith(begin)), None)
    return None if found is None else json.loads(found)[kind]


def _instant(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def _changes_rows(line: bytes) -> bool:
    if not line.lstrip().startswith((b'{"add"', b'{"remove"')):
        return False
    action: Action = json.loads(line)
    return bool(next(iter(action.values())).get("dataChange"))
