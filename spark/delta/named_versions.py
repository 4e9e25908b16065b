"""Tables whose every version says by its commit's user metadata what it is of, so that it can be found again by that."""

import json

import pyarrow as pa
from pyspark.sql import DataFrame

from m5model.files.delta import open_delta
from m5model.files.delta_log import list_versions, read_commit
from schemas.canonical import canonical_json
from spark.delta.changed_files import can_be_read, list_data_files
from spark.delta.data_rows import write_rows
from spark.delta.rewrite import add_action, clear_leftovers, commit_files, name_prefix
from spark.delta.tables import replace_table

# A week, as Delta keeps files by default. Of what is older, another version is made from scratch when it is wanted.
KEPT_HOURS = 168


def find_named(path: str, name: str) -> int | None:
    """The newest version of that name, canonical JSON; None where there is none or it cannot be read any more."""
    for version in reversed(list_versions(path)):
        if _name_of(path, version) == name:
            return version if can_be_read(path, version) else None
    return None


def write_named(rows: DataFrame, path: str, name: str) -> int:
    """Replace the table, and return the version that this makes."""
    replace_table(rows, path, {}, name)
    return list_versions(path)[-1]


def rewrite_named(path: str, version: int, rows: pa.Table, name: str) -> int:
    """Replace all rows of that version, and return the version that this makes."""
    clear_leftovers(path, version + 1)
    table = open_delta(path, version)
    written = write_rows(path, name_prefix(version + 1), rows)
    added = [add_action(written)] if written else []
    commit_files(table, path, added, [file.path for file in list_data_files(table)], name)
    return version + 1


def drop_old_files(path: str) -> None:
    """Delete the files that no version of the last KEPT_HOURS needs."""
    open_delta(path).vacuum(retention_hours=KEPT_HOURS, dry_run=False)


def _name_of(path: str, version: int) -> str:
    text = read_commit(path, version).user_metadata
    return canonical_json(json.loads(text)) if text else ""
