"""Bundles on disk or S3: write one, find one, and refuse one whose bytes are not what its manifest says."""

import logging
from pathlib import Path

from m5model.bundles.released import current_aliases
from m5model.files import storage
from m5model.files.checksums import sha256_of, verify_files
from m5model.files.copies import local_copy
from m5model.files.manifests import convert, read_object
from schemas.bundle import MANIFEST_FILE, BundleManifest, Kind
from schemas.checks import is_name
from schemas.errors import ConfigurationError, DamagedFileError
from schemas.manifests import to_json
from schemas.workspace import Workspace

log = logging.getLogger(__name__)


def write_manifest(folder: Path, manifest: BundleManifest) -> None:
    """Put the manifest into the folder: from here on it is a bundle."""
    storage.write_bytes(str(folder / MANIFEST_FILE), to_json(manifest).encode())


def read_manifest(path: str) -> BundleManifest:
    """The manifest of the bundle at ``path``. Raises ConfigurationError where there is none.

    Manifests written before gates held figures have a flat object there; they are read as bundles with an empty gate.
    """
    where = f"{path}/{MANIFEST_FILE}"
    try:
        text = storage.read_bytes(where)
    except FileNotFoundError as error:
        raise ConfigurationError(
            f"{path} is not a bundle: it has no {MANIFEST_FILE}",
            next_step="give the folder that train_model.py or distill_student.py wrote, or its id",
        ) from error
    values = read_object(text, where)
    if isinstance(values.get("gate"), dict):
        values["gate"] = []
    return convert(BundleManifest, values, where)


def open_bundle(path: str) -> tuple[Path, BundleManifest]:
    """A local folder with the whole bundle, every byte checked, and its manifest.

    Raises DamagedFileError naming the first file that is missing or differs.
    """
    manifest = read_manifest(path)
    files = _hashes(manifest, path)
    if not storage.is_remote(path):
        verify_files(Path(path), files, f"bundle {manifest.id}")
        return Path(path), manifest
    return local_copy(path, files | {MANIFEST_FILE: sha256_of(f"{path}/{MANIFEST_FILE}")}), manifest


def find_bundle(workspace: Workspace, reference: str | None, kind: Kind, flag: str = "--bundle") -> str:
    """Path of the bundle that ``reference`` (an id in the workspace, or a path) names; the newest ``kind`` if None, but the
    champion where a student was released.

    A student for queries only (see BundleManifest.same_space) is never meant without being named. ``flag`` is how the caller's
    users name one, for the error that there is none.
    """
    if reference is None:
        return _newest(workspace, kind, flag)
    path = look_up_bundle(workspace, reference)
    if path is not None:
        return path
    known = ", ".join(storage.list_folders(workspace.bundles)) or "none"
    raise ConfigurationError(
        f"no bundle {reference!r}; in {workspace.bundles}: {known}", next_step="give one of these ids, or a path"
    )


def look_up_bundle(workspace: Workspace, reference: str) -> str | None:
    """Path of the bundle that ``reference`` (an id in the workspace, or a path) names; None where it names none."""
    paths = (workspace.bundle(reference), reference) if is_name(reference) else (reference,)
    return next((path for path in paths if storage.exists(f"{path}/{MANIFEST_FILE}")), None)


def list_bundle_ids(workspace: Workspace) -> list[str]:
    """Names of the folders in ``bundles/`` that have a manifest, sorted."""
    names = filter(is_name, storage.list_folders(workspace.bundles))
    return [name for name in names if storage.exists(f"{workspace.bundle(name)}/{MANIFEST_FILE}")]


def list_bundles(workspace: Workspace) -> list[BundleManifest]:
    """Manifests of all bundles of the workspace, oldest first. A folder that has another bundle's manifest is no bundle."""
    found = {name: read_manifest(workspace.bundle(name)) for name in list_bundle_ids(workspace)}
    for name, manifest in found.items():
        if manifest.id != name:
            log.warning("%s holds the manifest of %s and is left out", workspace.bundle(name), manifest.id)
    whole = (manifest for name, manifest in found.items() if manifest.id == name)
    return sorted(whole, key=lambda manifest: (manifest.created_at, manifest.id))


def _newest(workspace: Workspace, kind: Kind, flag: str) -> str:
    champion = current_aliases(workspace).champion if kind == "student" else None
    if champion is not None:
        return find_bundle(workspace, champion.bundle, kind, flag)
    candidates = [manifest for manifest in list_bundles(workspace) if manifest.kind == kind and not manifest.same_space]
    if not candidates:
        job = "jobs/train_model.py" if kind == "teacher" else "jobs/distill_student.py"
        raise ConfigurationError(f"no {kind} bundle in {workspace.bundles}", next_step=f"run {job}, or give {flag}")
    return workspace.bundle(candidates[-1].id)


def _hashes(manifest: BundleManifest, path: str) -> dict[str, str]:
    """SHA-256 of each file as the manifest says it."""
    try:
        return {name: str(entry["sha256"]) for name, entry in manifest.files.items()}
    except (TypeError, KeyError) as error:
        raise DamagedFileError(
            f"{path}/{MANIFEST_FILE} lists a file without its SHA-256", next_step="copy the bundle again from its source"
        ) from error
