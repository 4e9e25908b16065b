"""Keeps the profile of each published version beside the view's table, one JSON file a version; makes those that are missing.

A profile says nothing that the table does not: a killed job leaves none, and the next one to ask makes it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa
from deltalake import DeltaTable

from m5model.features.measure import measure_rows
from m5model.features.publications import PublishedVersion
from m5model.features.scanning import count_rows, differing_files, scan_files
from m5model.features.versions import missing_files
from m5model.files import storage
from m5model.files.delta import open_delta
from m5model.files.manifests import from_json
from schemas.feature_profile import Profile
from schemas.features import FOLDER
from schemas.listing import LISTING_KEY
from schemas.manifests import to_json
from schemas.workspace import Workspace


@dataclass(frozen=True, kw_only=True)
class StoredProfile:
    """The profile of one version, and which table it was measured on."""

    table_id: str  # Delta's own id: a table that was made anew at the same place has another
    version: int
    columns: tuple[Mapping[str, str], ...]  # as declared: name, type, unit; they decide the bins
    profile: Profile


def read_profile(workspace: Workspace, view: str, version: int) -> StoredProfile | None:
    """None where none was made."""
    path = workspace.feature_profile(view, version)
    if not storage.exists(path):
        return None
    return from_json(StoredProfile, storage.read_bytes(path), path)


def write_profile(workspace: Workspace, view: str, stored: StoredProfile) -> None:
    storage.write_bytes(workspace.feature_profile(view, stored.version), to_json(stored).encode())


def find_profile(workspace: Workspace, view: str, published: Sequence[PublishedVersion]) -> StoredProfile:
    """The profile of the last of ``published`` (oldest first), which is measured and kept where there is none.

    Of what an earlier version with a profile shares with it, nothing is read. The version must be readable.
    """
    now = published[-1]
    table = open_delta(workspace.table(f"{FOLDER}/{view}"), now.version)
    found = read_profile(workspace, view, now.version)
    if found is None or found.table_id != table.metadata().id:
        found = _measure(workspace, view, table, published)
        write_profile(workspace, view, found)
    return found


def rows_to_measure(workspace: Workspace, view: str, published: Sequence[PublishedVersion]) -> int:
    """Rows that ``find_profile`` would read."""
    table = open_delta(workspace.table(f"{FOLDER}/{view}"), published[-1].version)
    base = _find_base(workspace, view, table, published)
    if base is None:
        return int(table.count())
    before = open_delta(workspace.table(f"{FOLDER}/{view}"), base.version)
    return sum(count_rows(one, files) for one, files in zip((before, table), differing_files(before, table), strict=True))


def describe_columns(table: DeltaTable, published: PublishedVersion) -> tuple[dict[str, str], ...]:
    """Name, type and unit of each column, as declared; as the table has them where nothing is declared."""
    declared = published.declaration.get("columns")
    if isinstance(declared, list) and declared:
        return tuple({name: str(column.get(name, "")) for name in ("name", "type", "unit")} for column in declared)  # type: ignore[union-attr]
    schema = pa.schema(table.to_pyarrow_dataset().schema)
    return tuple({"name": field.name, "type": str(field.type), "unit": ""} for field in schema)


def describe_key(published: PublishedVersion) -> tuple[str, ...]:
    """The columns that name a row, as declared; a listing's key where nothing is declared."""
    key = published.declaration.get("key")
    return tuple(map(str, key)) if isinstance(key, list) else LISTING_KEY


def _measure(workspace: Workspace, view: str, table: DeltaTable, published: Sequence[PublishedVersion]) -> StoredProfile:
    columns, key = describe_columns(table, published[-1]), describe_key(published[-1])
    base = _find_base(workspace, view, table, published)
    if base is None:
        profile = measure_rows(scan_files(table), columns, key)
    else:
        before = open_delta(workspace.table(f"{FOLDER}/{view}"), base.version)
        left, came = differing_files(before, table)
        gone = measure_rows(scan_files(before, left), columns, key)
        profile = base.profile.minus(gone).plus(measure_rows(scan_files(table, came), columns, key))
    return StoredProfile(table_id=str(table.metadata().id), version=table.version(), columns=columns, profile=profile)


def _find_base(
    workspace: Workspace, view: str, table: DeltaTable, published: Sequence[PublishedVersion]
) -> StoredProfile | None:
    """The profile of the version that a rollback restored, else of the one before.

    None where there is none that fits and can be read, and for views with another key than a listing's: a listing can have rows
    in several files there, and only all of its rows come off exactly.
    """
    path, restored = workspace.table(f"{FOLDER}/{view}"), published[-1].restored
    version = restored if restored is not None else published[-2].version if len(published) > 1 else None
    if version is None or describe_key(published[-1]) != LISTING_KEY or missing_files(path, version) != []:
        return None
    base = read_profile(workspace, view, version)
    fits = base and base.table_id == table.metadata().id and base.columns == describe_columns(table, published[-1])
    return base if fits else None
