"""Finds the version of a Delta table that last changed rows, read from the files of its log: no Spark job."""

import json
import re

from m5model.files import storage
from spark.delta.missing import missing_table


def last_change(path: str, *, made_by: str) -> int:
    """The newest version whose commit changed rows. Later ones are maintenance (VACUUM, OPTIMIZE, properties).

    That is the version to name what is made from the table by: the same rows keep the same name. Where no such commit is left
    in the log, it is the newest version. Raises ConfigurationError naming the command ``made_by`` where there is no table.
    """
    versions = _versions(path)
    if not versions:
        raise missing_table(path, made_by)
    return next((version for version in versions if version == 0 or _changes_rows(path, version)), versions[0])


def _versions(path: str) -> list[int]:
    """The versions whose commits are in the log, newest first."""
    names = storage.list_files(f"{path}/_delta_log")
    return sorted((int(name[:20]) for name in names if re.fullmatch(r"\d{20}\.json", name)), reverse=True)


def _changes_rows(path: str, version: int) -> bool:
    commit = storage.read_bytes(f"{path}/_delta_log/{version:020d}.json")
    actions = (json.loads(line) for line in commit.splitlines() if line.strip())
    return any(action.get(kind, {}).get("dataChange") for action in actions for kind in ("add", "remove"))
