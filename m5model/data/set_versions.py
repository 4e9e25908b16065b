"""The versions of training sets and label sets that a workspace holds: list them, find one, compare two.

Needs neither Spark nor datasets.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from m5model.files import storage
from m5model.files.checksums import NEXT_STEP
from m5model.files.manifests import from_json
from schemas.checks import is_name
from schemas.errors import ConfigurationError, DamagedFileError
from schemas.labels import LabelSetManifest
from schemas.report import JsonValue
from schemas.training_set import MANIFEST_FILE, TrainingSetManifest
from schemas.workspace import Workspace

KEY = ("locale", "item_id", "copy")
EXAMPLES = 5

log = logging.getLogger(__name__)


class Named(Protocol):
    """The manifests of both kinds of sets have these."""

    @property
    def name(self) -> str: ...
    @property
    def version(self) -> str: ...
    @property
    def created_at(self) -> str: ...


Manifest = TypeVar("Manifest", bound=Named)


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
    root, known = workspace.training_sets, list_training_sets(workspace)
    return _find(root, known, reference, what="training set", made_by="jobs/sample_training_set.py")


def find_label_set(workspace: Workspace, reference: str) -> str:
    """Path of the label set that ``reference`` names: NAME/VERSION, NAME (its newest version) or a path.

    Raises ConfigurationError naming the sets that there are.
    """
    root, known = workspace.label_sets, list_label_sets(workspace)
    return _find(root, known, reference, what="label set", made_by="jobs/import_labels.py")


def version_names(root: str) -> list[str]:
    """NAME/VERSION of the folders below ``root`` that have a manifest, sorted."""
    pairs = [
        f"{name}/{version}"
        for name in filter(is_name, storage.list_folders(root))
        for version in filter(is_name, storage.list_folders(f"{root}/{name}"))
    ]
    return [pair for pair in pairs if storage.exists(f"{root}/{pair}/{MANIFEST_FILE}")]


def list_training_sets(workspace: Workspace) -> list[TrainingSetManifest]:
    """Manifests of all versions of all training sets, oldest first."""
    return _list(workspace.training_sets, TrainingSetManifest)


def list_label_sets(workspace: Workspace) -> list[LabelSetManifest]:
    """Manifests of all versions of all label sets, oldest first."""
    return _list(workspace.label_sets, LabelSetManifest)


def read_manifest(path: str) -> TrainingSetManifest:
    """The manifest of the version at ``path``. Raises DamagedFileError where it cannot be understood."""
    return _read(path, TrainingSetManifest)


def read_label_manifest(path: str) -> LabelSetManifest:
    """The manifest of the label set at ``path``. Raises DamagedFileError where it cannot be understood."""
    return _read(path, LabelSetManifest)


def _read(path: str, kind: type[Manifest]) -> Manifest:
    where = f"{path}/{MANIFEST_FILE}"
    return from_json(kind, storage.read_bytes(where), where)


def _list(root: str, kind: type[Manifest]) -> list[Manifest]:
    """Manifests of the versions below ``root``, oldest first. A folder that has another version's manifest is none."""
    found = {name: _read(f"{root}/{name}", kind) for name in version_names(root)}
    for name, manifest in found.items():
        if f"{manifest.name}/{manifest.version}" != name:
            log.warning("%s/%s holds the manifest of %s/%s and is left out", root, name, manifest.name, manifest.version)
    whole = (manifest for name, manifest in found.items() if f"{manifest.name}/{manifest.version}" == name)
    return sorted(whole, key=lambda manifest: (manifest.created_at, manifest.name, manifest.version))


def _find(root: str, known: Sequence[Named], reference: str | None, *, what: str, made_by: str) -> str:
    if reference is not None and storage.exists(f"{reference}/{MANIFEST_FILE}"):
        return reference
    fitting = [manifest for manifest in known if reference in (None, manifest.name, f"{manifest.name}/{manifest.version}")]
    if not fitting:
        wanted = f"no {what}" if reference is None else f"no {what} {reference!r}"
        there = ", ".join(f"{manifest.name}/{manifest.version}" for manifest in known)
        raise ConfigurationError(
            f"{wanted} in {root}: there is {there or 'none'}", next_step=f"run {made_by}, or give one of these"
        )
    return f"{root}/{fitting[-1].name}/{fitting[-1].version}"


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
