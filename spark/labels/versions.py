"""Label-set versions: immutable folders, named by the hash of what is in them, with the manifest written last."""

import tempfile
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from m5model.data.set_versions import read_label_manifest
from m5model.files import storage
from m5model.files.checksums import hash_files
from m5model.labels.reading import Row
from schemas.canonical import canonical_json
from schemas.labels import DATA_FOLDER, LISTINGS_FOLDER, MANIFEST_FILE, PINNED_LISTINGS, LabelKind, LabelSetManifest
from schemas.manifests import to_json
from schemas.space import sha256_hex
from schemas.workspace import Workspace

VERSION_DIGITS = 12
FILE_ROWS = 500_000


def hash_content(rows: Iterable[Row], listings: pa.Table) -> str:
    """SHA-256 over the sorted hashes of the rows, and of the listings that they name."""
    hashes = sorted(_hash(row) for row in rows) + sorted(_hash(row) for row in listings.to_pylist())
    return sha256_hex("".join(hashes).encode())


def write_label_set(
    workspace: Workspace, kind: LabelKind, manifest: LabelSetManifest, rows: list[Row], listings: pa.Table
) -> tuple[LabelSetManifest, bool]:
    """Write the set and return its manifest with its files, and True; the one that is there, and False, where it is."""
    path = workspace.label_set(manifest.name, manifest.version)
    if storage.exists(f"{path}/{MANIFEST_FILE}"):
        return read_label_manifest(path), False
    parent = None if workspace.is_remote else Path(workspace.root) / ".staging"
    if parent is not None:
        parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="labels-", dir=parent, ignore_cleanup_errors=True) as staging:
        folder = Path(staging) / "content"
        _write_files(folder, pa.Table.from_pylist(sorted(rows, key=_hash), kind.table.arrow_schema()), DATA_FOLDER)
        if listings.num_rows:
            _write_files(folder, listings.cast(PINNED_LISTINGS.arrow_schema()), LISTINGS_FOLDER)
        files = {name: str(entry["sha256"]) for name, entry in hash_files(folder, but=MANIFEST_FILE).items()}
        whole = replace(manifest, files=files)
        (folder / MANIFEST_FILE).write_text(to_json(whole), encoding="utf-8")
        is_new = storage.place_folder(folder, path)
    return (whole, True) if is_new else (read_label_manifest(path), False)


def _write_files(folder: Path, table: pa.Table, name: str) -> None:
    (folder / name).mkdir(parents=True)
    for part, start in enumerate(range(0, max(1, table.num_rows), FILE_ROWS)):
        pq.write_table(table.slice(start, FILE_ROWS), folder / name / f"part-{part:05d}.parquet", compression="zstd")


def _hash(row: Row) -> str:
    plain = {name: str(value) if hasattr(value, "isoformat") else value for name, value in row.items()}
    return sha256_hex(canonical_json(plain).encode())
