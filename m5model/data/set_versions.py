"""The versions of training sets that a workspace holds: list them, find one, compare two. Needs neither Spark nor datasets."""

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq

from m5model.files import storage
from m5model.files.checksums import NEXT_STEP
from m5model.files.manifests import from_json
from schemas.checks import is_name
from schemas.errors import ConfigurationError, DamagedFileError
from schemas.report import JsonValue
from schemas.training_set import MANIFEST_FILE, TrainingSetManifest
from schemas.workspace import Workspace

KEY = ("locale", "item_id", "copy")
EXAMPLES = 5

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class VersionDifference:
    """The difference between two versions of a set, row by row."""

    old: TrainingSetManifest
    new: TrainingSetManifest
    same: int  # rows of both, with the same content
    added: tuple[str, ...]  # keys, sorted
    gone: tuple[str, ...]
    changed: tuple[str, ...]  # the same key, another content hash

    @property
    def shares(self) -> dict[str, tuple[float, float]]:
        """Share of the rows, by language: old and new."""
        languages = sorted({*self.old.rows_by_language, *self.new.rows_by_language})
        return {name: (_share(self.old, name), _share(self.new, name)) for name in languages}

    def as_json(self) -> dict[str, JsonValue]:
        sides = {"old": f"{self.old.name}/{self.old.version}", "new": f"{self.new.name}/{self.new.version}"}
        rows: dict[str, JsonValue] = {"old_rows": self.old.rows, "new_rows": self.new.rows, "same": self.same}
        keys = {"added": self.added, "gone": self.gone, "changed": self.changed}
        shares: dict[str, JsonValue] = {name: [round(a, 6), round(b, 6)] for name, (a, b) in self.shares.items()}
        counts: dict[str, JsonValue] = {name: len(found) for name, found in keys.items()}
        examples: dict[str, JsonValue] = {name: list(found[:EXAMPLES]) for name, found in keys.items()}
        return {**sides, **rows, **counts, "shares_by_language": shares, "examples": examples}


def find_training_set(workspace: Workspace, reference: str | None) -> str:
    """Path of the set that ``reference`` names: NAME/VERSION, NAME (its newest version) or a path; the newest of all if None.

    Raises ConfigurationError naming the sets that there are.
    """
    if reference is not None and storage.exists(f"{reference}/{MANIFEST_FILE}"):
        return reference
    known = list_training_sets(workspace)
    fitting = [manifest for manifest in known if reference in (None, manifest.name, f"{manifest.name}/{manifest.version}")]
    if not fitting:
        wanted = "no training set" if reference is None else f"no training set {reference!r}"
        there = ", ".join(f"{manifest.name}/{manifest.version}" for manifest in known)
        raise ConfigurationError(
            f"{wanted} in {workspace.training_sets}: there is {there or 'none'}",
            next_step="run jobs/sample_training_set.py, or give one of these",
        )
    return workspace.training_set(fitting[-1].name, fitting[-1].version)


def list_version_names(workspace: Workspace) -> list[str]:
    """NAME/VERSION of the folders in ``training_sets/`` that have a manifest, sorted."""
    pairs = [
        (name, version)
        for name in filter(is_name, storage.list_folders(workspace.training_sets))
        for version in filter(is_name, storage.list_folders(f"{workspace.training_sets}/{name}"))
    ]
    return ["/".join(pair) for pair in pairs if storage.exists(f"{workspace.training_set(*pair)}/{MANIFEST_FILE}")]


def list_training_sets(workspace: Workspace) -> list[TrainingSetManifest]:
    """Manifests of all versions of all sets, oldest first. A folder that has another version's manifest is none."""
    found = {name: read_manifest(f"{workspace.training_sets}/{name}") for name in list_version_names(workspace)}
    for name, manifest in found.items():
        if f"{manifest.name}/{manifest.version}" != name:
            log.warning("training set %s holds the manifest of %s/%s and is left out", name, manifest.name, manifest.version)
    whole = (manifest for name, manifest in found.items() if f"{manifest.name}/{manifest.version}" == name)
    return sorted(whole, key=lambda manifest: (manifest.created_at, manifest.name, manifest.version))


def read_manifest(path: str) -> TrainingSetManifest:
    """The manifest of the version at ``path``. Raises DamagedFileError where it cannot be understood."""
    where = f"{path}/{MANIFEST_FILE}"
    return from_json(TrainingSetManifest, storage.read_bytes(where), where)


def compare_versions(old_path: str, new_path: str) -> VersionDifference:
    """Rows added, gone and changed from one version to another, by key; a repeated row counts as often as it occurs."""
    old, new = dict(_content(old_path)), dict(_content(new_path))
    changed = sorted(key for key in old.keys() & new.keys() if old[key] != new[key])
    return VersionDifference(
        old=read_manifest(old_path),
        new=read_manifest(new_path),
        same=len(old.keys() & new.keys()) - len(changed),
        added=tuple(sorted(new.keys() - old.keys())),
        gone=tuple(sorted(old.keys() - new.keys())),
        changed=tuple(changed),
    )


def _content(path: str) -> Iterator[tuple[str, str]]:
    """Key and content hash of every row, read file by file."""
    filesystem, inner = storage.open_filesystem(path)
    for name in sorted(read_manifest(path).files):
        try:
            with filesystem.open_input_file(f"{inner}/{name}") as file:
                table: pa.Table = pq.read_table(file, columns=[*KEY, "content_hash"])
        except (pa.ArrowInvalid, OSError) as error:
            raise DamagedFileError(f"{path}/{name} cannot be read: {error}", next_step=NEXT_STEP) from error
        for row in table.to_pylist():
            copy = f"#{row['copy']}" if row["copy"] else ""
            yield f"{row['locale']}/{row['item_id']}{copy}", row["content_hash"]


def _share(manifest: TrainingSetManifest, language: str) -> float:
    rows: Mapping[str, int] = manifest.rows_by_language
    return rows.get(language, 0) / manifest.rows if manifest.rows else 0.0
